package books_test

import (
	"bytes"
	"context"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams"
)

// liar is a real store whose rows are changed on their way out, as if they had
// been written so.
type liar struct {
	streams.Store
	event    func(streams.StoredEvent) []streams.StoredEvent
	inputs   func(streams.InputRow) []streams.InputRow
	snapshot func(*streams.Snapshot) bool
	timers   []streams.Timer
	pending  []streams.PendingEffect
	parked   []streams.ParkedInput
}

func (l *liar) Outbox(ctx context.Context, lane int32, after int64, limit int, f func(streams.StoredEvent) error) error {
	return l.Store.Outbox(ctx, lane, after, limit, func(e streams.StoredEvent) error {
		if l.event == nil {
			return f(e)
		}
		for _, e := range l.event(e) {
			if err := f(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *liar) Inputs(ctx context.Context, lane int32, after int64, f func(streams.InputRow) error) error {
	return l.Store.Inputs(ctx, lane, after, func(r streams.InputRow) error {
		if l.inputs == nil {
			return f(r)
		}
		for _, r := range l.inputs(r) {
			if err := f(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (l *liar) Load(ctx context.Context, lane int32, ids []streams.StreamID) (out []streams.Snapshot, err error) {
	have, err := l.Store.Load(ctx, lane, ids)
	for _, s := range have {
		if l.snapshot == nil || l.snapshot(&s) {
			out = append(out, s)
		}
	}
	return out, err
}

func (l *liar) Timers(_ context.Context, lane int32, _ time.Time, _ int) ([]streams.Timer, error) {
	if lane > 0 {
		return nil, nil
	}
	return l.timers, nil
}

func (l *liar) Effects(_ context.Context, lane int32, after int64, _ int) ([]streams.PendingEffect, error) {
	if lane > 0 || after > 0 {
		return nil, nil
	}
	return l.pending, nil
}

func (l *liar) Parked(_ context.Context, lane int32, _ streams.StreamID, after int64, _ int) ([]streams.ParkedInput, error) {
	if lane > 0 || after > 0 {
		return nil, nil
	}
	return l.parked, nil
}

// of lies about one service.
func of(in *audit.Input, service string, l liar) {
	l.Store = in.Stores[service]
	in.Stores[service] = &l
}

// without leaves out the events of a type.
func without(typ string) liar {
	return liar{event: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Type == typ {
			return nil
		}
		return []streams.StoredEvent{e}
	}}
}

// rewritten changes text of the same length in the events of a type.
func rewritten(typ, from, to string) liar {
	return liar{event: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Type == typ {
			e.Record = bytes.Replace(e.Record, []byte(from), []byte(to), 1)
		}
		return []streams.StoredEvent{e}
	}}
}

// again tells the events of a type twice, as the next version of their stream.
func again(typ string) liar {
	return liar{event: func(e streams.StoredEvent) []streams.StoredEvent {
		if e.Type != typ {
			return []streams.StoredEvent{e}
		}
		more := e
		more.Seq, more.Version = e.Seq+1_000_000, e.Version+1
		return []streams.StoredEvent{e, more}
	}}
}

// redecided adds or removes entries of the rows of inputs.
func redecided(change func([]streams.InputEntry) []streams.InputEntry) liar {
	return liar{inputs: func(r streams.InputRow) []streams.InputRow {
		entries, err := streams.DecodeInputs(r.Entries)
		if err != nil {
			return nil
		}
		r.Entries = streams.EncodeInputs(change(entries))
		return []streams.InputRow{r}
	}}
}

// readAll reads every record of the shop's log, by topic and partition.
func (s *house) readAll() map[streams.Target][]*kgo.Record {
	s.t.Helper()
	adm := s.admin(s.c.Client())
	defer adm.Close()
	ends, err := adm.ListEndOffsets(s.t.Context())
	check(s.t, err)
	from, want := map[string]map[int32]kgo.Offset{}, int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset == 0 || o.Topic == streams.ControlTopic {
			return
		}
		if from[o.Topic] == nil {
			from[o.Topic] = map[int32]kgo.Offset{}
		}
		from[o.Topic][o.Partition], want = kgo.NewOffset().AtStart(), want+o.Offset
	})
	cl, err := kgo.NewClient(append(s.c.Client(), kgo.ConsumePartitions(from))...)
	check(s.t, err)
	defer cl.Close()
	out := map[streams.Target][]*kgo.Record{}
	for n := int64(0); n < want; {
		f := cl.PollFetches(s.t.Context())
		check(s.t, f.Err())
		f.EachRecord(func(r *kgo.Record) {
			to := streams.Target{Topic: r.Topic, Partition: r.Partition}
			out[to], n = append(out[to], r), n+1
		})
	}
	return out
}

func (s *house) admin(opts []kgo.Opt) *kadm.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(opts...)
	check(s.t, err)
	return kadm.NewClient(cl)
}

// forge makes another log of changed records, and returns how to reach it.
func (s *house) forge(change func(to streams.Target, recs []*kgo.Record) []*kgo.Record) (client []kgo.Opt, done func()) {
	s.t.Helper()
	network := &kfake.VirtualNetwork{}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(network.Listen))
	check(s.t, err)
	client = []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.Dialer(network.DialContext)}
	cl, err := kgo.NewClient(append(client, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	check(s.t, err)
	defer cl.Close()
	adm := kadm.NewClient(cl)
	for _, t := range s.c.Topology.Topics() {
		_, err := adm.CreateTopic(s.t.Context(), partitions, 1, nil, t.Name)
		check(s.t, err)
	}
	for to, recs := range s.readAll() {
		for _, r := range change(to, recs) {
			check(s.t, cl.ProduceSync(s.t.Context(), &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}).FirstErr())
		}
	}
	return client, c.Close
}

// first changes the records of the first partition of a topic that has some.
func first(topic string, change func([]*kgo.Record) []*kgo.Record) func(streams.Target, []*kgo.Record) []*kgo.Record {
	done := int32(-1)
	return func(to streams.Target, recs []*kgo.Record) []*kgo.Record {
		if to.Topic != topic || len(recs) < 3 || done >= 0 && done != to.Partition {
			return recs
		}
		done = to.Partition
		return change(recs)
	}
}

// renumbered is a record with another sequence, its own bytes otherwise.
func renumbered(r *kgo.Record, by int64) *kgo.Record {
	c := *r
	c.Headers = append([]kgo.RecordHeader(nil), r.Headers...)
	for i, h := range c.Headers {
		if h.Key == "ce_sequence" || h.Key == "ce_prev" {
			n, _ := strconv.ParseInt(string(h.Value), 10, 64)
			c.Headers[i].Value = strconv.AppendInt(nil, n+by, 10)
		}
	}
	return &c
}
