package projectiontest

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

// stores are event stores that hold what lanes have published.
type stores map[string]*sqlite.Store

func (s stores) get(_ context.Context, service string) (streams.Store, error) { return s[service], nil }

// Stores are event stores of services that hold what lanes wrote, as a Run opens them.
func Stores(t testing.TB, recs []*kgo.Record, services ...string) func(context.Context, string) (streams.Store, error) {
	t.Helper()
	s := newStores(t, services...)
	s.keep(t, recs)
	return s.get
}

func newStores(t testing.TB, services ...string) stores {
	t.Helper()
	s := stores{}
	for _, service := range services {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), service+".db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		if _, err := store.Info(ctx, Partitions); err != nil {
			t.Fatal(err)
		}
		s[service] = store
	}
	return s
}

// keep stores the records of lanes, each once, in the order of their sequences.
func (s stores) keep(t testing.TB, recs []*kgo.Record) {
	t.Helper()
	of, seen := map[string][]streams.StoredEvent{}, map[string]bool{}
	for _, rec := range recs {
		env, err := streams.ReadEnvelope(rec)
		id := fmt.Sprint(env.Lane, env.Seq)
		if err != nil || env.Lane == "" || seen[id] {
			continue
		}
		seen[id] = true
		lane := string(env.Lane)[:strings.LastIndexByte(string(env.Lane), '/')]
		of[lane] = append(of[lane], streams.StoredEvent{Seq: env.Seq, Stream: streams.StreamID{Decider: env.Source, Key: env.Key + fmt.Sprint(env.Seq)}, Version: 1,
			Type: env.Type, TypeVer: env.Version, Topic: rec.Topic, Partition: rec.Partition, Key: env.Key, Record: pack(rec)})
	}
	for lane, events := range of {
		var n int32
		service, number, _ := strings.Cut(lane, "/")
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(events, func(a, b streams.StoredEvent) int { return int(a.Seq - b.Seq) })
		cur, err := s[service].Claim(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if cur.Sent == nil {
			cur.Sent = map[streams.Target]int64{}
		}
		for _, e := range events {
			cur.LastSeq, cur.Published = e.Seq, e.Seq
			cur.Sent[streams.Target{Topic: e.Topic, Partition: e.Partition}] = e.Seq
		}
		if err := s[service].Commit(ctx, n, &streams.Tx{Cursor: cur, Events: events}); err != nil {
			t.Fatal(err)
		}
	}
}

// pack writes a record as event stores keep it.
func pack(r *kgo.Record) []byte {
	b := binary.AppendUvarint(nil, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = append(binary.AppendUvarint(b, uint64(len(h.Key))), h.Key...)
		b = append(binary.AppendUvarint(b, uint64(len(h.Value))), h.Value...)
	}
	return append(b, r.Value...)
}

// Trim deletes the records of the topics that services write, up to a share of
// each partition.
func (l *Log) Trim(share float64) {
	l.t.Helper()
	ends, err := l.admin().ListEndOffsets(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	var del kadm.Offsets
	ends.Each(func(o kadm.ListedOffset) {
		if !strings.HasPrefix(o.Topic, "external.") {
			del.AddOffset(o.Topic, o.Partition, int64(share*float64(o.Offset)), -1)
		}
	})
	if _, err := l.admin().DeleteRecords(ctx, del); err != nil {
		l.t.Fatal(err)
	}
}

// Again makes the topics that services write anew, and empty.
func (l *Log) Again() {
	l.t.Helper()
	for _, t := range l.top.Topics() {
		if strings.HasPrefix(t.Name, "external.") {
			continue
		}
		if _, err := l.admin().DeleteTopic(ctx, t.Name); err != nil {
			l.t.Fatal(err)
		}
		if _, err := l.admin().CreateTopic(ctx, Partitions, 1, nil, t.Name); err != nil {
			l.t.Fatal(err)
		}
	}
}

var offsets = regexp.MustCompile(`"offset":-?[0-9]+`)

// rows are the answers without what the event stores do not know: places on the
// log, and records that are no events.
func rows(t testing.TB, m *projection.Model) (out []string) {
	for _, a := range Answers(t, m) {
		if !strings.HasPrefix(a, "[skips]") && !strings.HasPrefix(a, "[offsets]") {
			out = append(out, offsets.ReplaceAllString(a, `"offset":0`))
		}
	}
	return out
}

// distinct counts the events of some records, their repeats left out.
func distinct(recs []*kgo.Record) int64 {
	seen := map[string]bool{}
	for _, rec := range recs {
		if e, err := streams.ReadEnvelope(rec); err == nil {
			seen[fmt.Sprint(e.Source, e.ID)] = true
		}
	}
	return int64(len(seen))
}

// A read model is built from the event stores where the log no longer has what it
// needs, and has the same rows as one that read all of it.
func aRunIsBuiltFromTheEventStores(p *place) {
	for _, c := range []struct {
		name  string
		spoil func(l *Log)
	}{
		{"some is trimmed", func(l *Log) { l.Trim(0.6) }},
		{"all is trimmed", func(l *Log) { l.Trim(1) }},
		{"topics are made anew", func(l *Log) { l.Again() }},
	} {
		p.Run(c.name, func(t *testing.T) {
			l, s, whole := NewLog(t), newStores(t, "desk", "till"), opened(t, p.empty(t))
			recs := l.Lend(10)
			l.Produce(recs...)
			s.keep(t, recs)
			var all, told atomic.Int64
			cfg := l.Config(Deposit)
			cfg.Now = func() time.Time { return noon.Add(-time.Hour) } // all that comes is news
			cfg.Written = func(events []projection.Event) { all.Add(int64(len(events))) }
			l.catchUpWith(t, whole, cfg, func() bool { return all.Load() >= distinct(recs) })
			want := rows(t, whole)
			c.spoil(l)
			cfg.Stores = s.get
			cfg.Now = func() time.Time { return noon.Add(-time.Hour) } // all that comes is news
			cfg.Written = func(events []projection.Event) { told.Add(int64(len(events))) }
			place := p.empty(t)
			for range 2 { // and once more, when nothing is missing
				m := opened(t, place)
				// The cursors say nothing of what the log lacks.
				l.catchUpWith(t, m, cfg, func() bool { return told.Load() >= all.Load() })
				Differ(t, want, rows(t, m))
			}
			if told.Load() != all.Load() {
				t.Errorf("%d events were told, want each of %d once", told.Load(), all.Load())
			}
		})
	}
	p.Run("more is missing than is read at once, between two records", func(t *testing.T) { muchIsMissing(t, p, 0, 1100) })
	p.Run("more is missing than is read at once, of a log that is empty", func(t *testing.T) { muchIsMissing(t, p) })
	p.Run("a part is missing under a run", func(t *testing.T) {
		l, s, m := NewLog(t), newStores(t, "desk", "till"), opened(t, p.empty(t))
		w := l.Writer("desk", 0)
		cfg := l.Config()
		cfg.Stores = s.get
		recs := []*kgo.Record{w.Record("c1", asked("o1", "ada")), w.Record("c1", Approved{Loan: "o1"}), w.Record("c1", Ready{Loan: "o1"})}
		l.Produce(recs[0])
		readAll(t, m, cfg, streams.Token{Source: streams.Source{Topic: "desk.loan", Lane: w.lane}, Seq: 1})
		s.keep(t, recs)
		l.Produce(recs[2]) // the second never arrives
		readAll(t, m, cfg, w.last)
		if o, err := m.Document(ctx, Loans, "o1"); err != nil || o.Values["approved_at"] == (time.Time{}) || o.State != "ready" {
			t.Errorf("the loan is %+v (%v)", o, err)
		}
	})
	p.Run("what comes from outside is lost, and that is noted", func(t *testing.T) {
		l, s, m := NewLog(t), newStores(t, "desk", "till"), opened(t, p.empty(t))
		l.Produce(outside("dock", "d1", "A"), outside("dock", "d2", "A"))
		var del kadm.Offsets
		del.AddOffset("external.title", streams.Partition("A", Partitions), 1, -1)
		if _, err := l.admin().DeleteRecords(ctx, del); err != nil {
			t.Fatal(err)
		}
		cfg := l.Config()
		cfg.Stores = s.get
		l.CatchUp(t, m, cfg)
		skips, err := m.Skips(ctx)
		if err != nil || len(skips) != 1 || !strings.Contains(skips[0].Reason, "the log begins at offset 1") {
			t.Errorf("noted is %+v (%v)", skips, err)
		}
		if h, err := m.Events(ctx, "dock#d2"); err != nil || len(h) != 1 {
			t.Errorf("what is left has %d events, want 1 (%v)", len(h), err)
		}
	})
}

// muchIsMissing builds a read model of 1101 events, of which only some arrive.
func muchIsMissing(t *testing.T, p *place, arrive ...int) {
	l, s, m := NewLog(t), newStores(t, "desk", "till"), opened(t, p.empty(t))
	w := l.Writer("desk", 0)
	cfg := l.Config()
	cfg.Stores = s.get
	recs := []*kgo.Record{w.Record("c1", asked("o1", "ada"))}
	for range 1100 {
		recs = append(recs, w.Record("c1", Delayed{Loan: "o1"}))
	}
	for _, n := range arrive { // in one batch; the others never do
		l.Produce(recs[n])
	}
	s.keep(t, recs)
	readAll(t, m, cfg, w.last)
	if h, err := m.Events(ctx, "c1"); err != nil || len(h) != len(recs) {
		t.Errorf("%d events, want %d (%v)", len(h), len(recs), err)
	}
}
