package analyticstest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	"github.com/weirstream/weir/processors/backfill"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

var fileCases = []testCase{
	{"AFileIsTakenInOnce", aFileIsTakenInOnce},
	{"KilledWhileAFileIsTakenIn", killedWhileAFileIsTakenIn},
	{"AFileIsCarriedOver", aFileIsCarriedOver},
	{"AFileBesideAWriter", aFileBesideAWriter},
	{"AFileOfWhatTheLogHas", aFileOfWhatTheLogHas},
	{"ALieInAFileAlone", aLieInAFileAlone},
}

const crossingsMapping = `
file: {format: csv}
key: id
time: {column: at, layout: rfc3339}
events:
  - type: crossing.booked
    data:
      crossing: id
      traveller: who
      fare: {column: fare, currency: GBP}
  - type: crossing.arrived
    data: {crossing: id}
`

// crossingsFile is one of n crossings.
func crossingsFile(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("id,who,at,fare\n")
	for i := range n {
		fmt.Fprintf(&b, "f%04d,t%d,%s,%d.50\n", i, i%5, time.Date(2025, 3, 1, i/60%24, i%60, 0, 0, time.UTC).Format(time.RFC3339), i)
	}
	path := filepath.Join(t.TempDir(), "crossings.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// loading takes a file in.
func loading(t testing.TB, s analytics.Swappable, path, mapping string) *rebuild.Load {
	t.Helper()
	b := ferry()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	m, err := backfill.ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	f, err := backfill.Open(path, m, b, top)
	if err != nil {
		t.Fatal(err)
	}
	return &rebuild.Load{Live: s, Schema: Schema(t), File: f, Name: "crossings.csv", Mapping: []byte(mapping), Batch: 30}
}

// loaded are the rows of files, by table, and what the log gave.
func (p *place) loaded(s analytics.Store) (files, log map[string]int64) {
	p.Helper()
	files, log = map[string]int64{}, map[string]int64{}
	for _, t := range schemaOf(p, ferry()).Tables {
		row := p.ask(s, "SELECT coalesce(sum(CASE WHEN `_block` < 0 THEN 1 ELSE 0 END), 0), coalesce(sum(CASE WHEN `_block` < 0 THEN 0 ELSE 1 END), 0) FROM `"+t.Name+"`")[0]
		if n, _ := row[0].(int64); n > 0 {
			files[t.Name] = n
		}
		log[t.Name], _ = row[1].(int64)
	}
	return files, log
}

// proved makes sure that a reconciler finds nothing.
func (p *place) proved(l *projectiontest.Log, s analytics.Store) {
	p.Helper()
	r := &analytics.Reconciler{Store: s, Schema: schemaOf(p, ferry()), Client: settings(l).Client}
	if found, err := r.All(ctx, nil); err != nil || len(found) > 0 {
		p.Errorf("the reconciler says %v (%v)", found, err)
	}
}

// hundred is what a file of 50 crossings gives.
var hundred = map[string]int64{"events": 100, "event_crossing_booked": 50, "event_crossing_arrived": 50, "view_crossings": 100, "view_travellers": 50, "saga_cross": 100}

func aFileIsTakenInOnce(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 10)
	l.Produce(recs...)
	p.catchUp(l, s)
	_, before := p.loaded(s)
	path := crossingsFile(p, 50)
	for i := range 3 {
		out, err := loading(p, s, path, crossingsMapping).Run(ctx)
		if err != nil || out.Known != (i > 0) || out.Events != 100 || out.Tables["events"].Rows != 100 {
			p.Fatalf("loaded %+v (%v)", out, err)
		}
		files, log := p.loaded(s)
		if !maps.Equal(files, hundred) || !maps.Equal(log, before) {
			p.Errorf("of the file there are %v", files)
		}
		p.proved(l, s)
	}
	other := strings.Replace(crossingsMapping, "GBP", "EUR", 1)
	if _, err := loading(p, s, path, other).Run(ctx); err == nil || !strings.Contains(err.Error(), "weir backfill --remove file/") {
		p.Errorf("another mapping: %v", err)
	}
	known, err := rebuild.Files(ctx, s)
	if err != nil || len(known) != 1 || !known[0].Whole || known[0].Events != 100 || known[0].Name != "crossings.csv" {
		p.Fatalf("known are %+v (%v)", known, err)
	}
	for range 2 {
		if _, err := rebuild.Remove(ctx, s, known[0].Topic); err != nil {
			p.Fatal(err)
		}
		p.proved(l, s)
		p.whole(s, recs)
		if _, err := loading(p, s, path, other).Run(ctx); err != nil {
			p.Fatal(err)
		}
		p.proved(l, s)
	}
	if _, err := rebuild.Remove(ctx, s, known[0].Topic); err != nil {
		p.Fatal(err)
	}
	p.goOn(l, s, recs)
}

func killedWhileAFileIsTakenIn(p *place) {
	lives(p, func(t *testing.T, q *place, c *countdown) {
		l, s := projectiontest.NewLogOf(t, ferry()), q.swappable()
		l.Produce(sail(l, 2)...)
		q.catchUp(l, s)
		path := crossingsFile(t, 50)
		if _, err := loading(t, dying{s, c}, path, crossingsMapping).Run(ctx); c.dead && !errors.Is(err, errKilled) || !c.dead && err != nil {
			t.Fatalf("it ended with %v", err)
		}
		if _, err := loading(t, s, path, crossingsMapping).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if files, _ := q.loaded(s); !maps.Equal(files, hundred) {
			t.Errorf("of the file there are %v", files)
		}
		q.proved(l, s)
		if b, err := s.Beside(ctx); err != nil || len(b.Staged) > 0 {
			t.Errorf("beside there is %+v (%v)", b, err)
		}
	})
}

func aFileIsCarriedOver(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	l.Produce(sail(l, 10)...)
	p.catchUp(l, s)
	path := crossingsFile(p, 50)
	if _, err := loading(p, s, path, crossingsMapping).Run(ctx); err != nil {
		p.Fatal(err)
	}
	_, before := p.loaded(s)
	for range 2 {
		if out := p.rebuilt(l, s); out.Files != 1 || len(out.Parity.Differ) > 0 {
			p.Errorf("it says %+v, %+v", out, out.Parity)
		}
		files, log := p.loaded(s)
		if !maps.Equal(files, hundred) || !maps.Equal(log, before) {
			p.Errorf("of the file there are %v, of the log %v, and there were %v", files, log, before)
		}
		p.proved(l, s)
		if out, err := loading(p, s, path, crossingsMapping).Run(ctx); err != nil || !out.Known {
			p.Errorf("it is loaded again: %+v (%v)", out, err)
		}
	}
}

// aFileBesideAWriter takes a file in while the log is written.
func aFileBesideAWriter(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 30)
	l.Produce(recs[:30]...)
	p.catchUp(l, s)
	writer := p.store()
	stop := projectiontest.Start(p, runOf(writer), settings(l))
	l.Produce(recs[30:60]...)
	if _, err := loading(p, s, crossingsFile(p, 50), crossingsMapping).Run(ctx); err != nil {
		p.Fatal(err)
	}
	l.Produce(recs[60:]...)
	l.CaughtUp(p, s)
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	if files, _ := p.loaded(s); !maps.Equal(files, hundred) {
		p.Errorf("of the file there are %v", files)
	}
	p.proved(l, s)
	if _, err := rebuild.Remove(ctx, s, "file/"+loading(p, s, crossingsFile(p, 50), crossingsMapping).File.Digest()[:16]); err != nil {
		p.Fatal(err)
	}
	p.whole(s, recs)
}

// aFileOfWhatTheLogHas would count it twice, and is refused unless somebody says so.
func aFileOfWhatTheLogHas(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	l.Produce(sail(l, 10)...)
	p.catchUp(l, s)
	path := crossingsFile(p, 50)
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "\nf0", "\nx")), 0o600)
	}
	if err != nil {
		p.Fatal(err)
	}
	if _, err := loading(p, s, path, crossingsMapping).Dry(ctx); !errors.Is(err, rebuild.ErrTwice) {
		p.Errorf("a look at it says %v", err)
	}
	if _, err := loading(p, s, path, crossingsMapping).Run(ctx); !errors.Is(err, rebuild.ErrTwice) || !strings.Contains(fmt.Sprint(err), "of 15 keys of crossing.arrived that were looked at, 4 have one from the log, x002 among them") {
		p.Errorf("it is taken in: %v", err)
	}
	if files, _ := p.loaded(s); len(files) > 0 {
		p.Errorf("of the file there are %v", files)
	}
	load := loading(p, s, path, crossingsMapping)
	load.Twice = true
	if _, err := load.Run(ctx); err != nil {
		p.Error(err)
	}
	if files, _ := p.loaded(s); !maps.Equal(files, hundred) {
		p.Errorf("of the file there are %v", files)
	}
}

// aLieInAFileAlone is found where no block of the log ever is.
func aLieInAFileAlone(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	if _, err := loading(p, s, crossingsFile(p, 50), crossingsMapping).Run(ctx); err != nil {
		p.Fatal(err)
	}
	rounds, stop := p.proving(l, s)
	for range 20 { // some looks back
		if x := <-rounds; x.Found["events"] > 0 {
			p.Errorf("%d differences before there is any", x.Found["events"])
		}
	}
	p.Drop(p, s, "events")
	p.heard(rounds, func(x analytics.Progress) bool { return x.Found["events"] > 0 && x.Found[analytics.HoursTable] > 0 })
	stop()
}
