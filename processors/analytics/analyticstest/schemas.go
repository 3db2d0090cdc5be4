package analyticstest

import (
	"bytes"
	"maps"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

var schemaCases = []testCase{
	{"ASchemaThatGrows", aSchemaThatGrows},
	{"AColumnOfAnotherKind", aColumnOfAnotherKind},
}

// aSchemaThatGrows has a new field of an event and of a view, and a new saga. Rows from
// before are empty there, and as whole as they were; and so they are if the earlier
// program comes back.
func aSchemaThatGrows(p *place) {
	earlier := ferryWith(boardedEarlier{}, streams.NewFact[boardedEarlier]("crossing.boarded"), business.Takes[boardedEarlier]("boarded_at"))
	earlier.Sagas = nil
	l := projectiontest.NewLogOf(p, earlier)
	recs := sail(projectiontest.NewLogOf(p, ferry()), 20)
	for _, rec := range recs[:40] {
		if gate := bytes.Index(rec.Value, []byte(`,"gate"`)); gate > 0 {
			rec.Value = append(rec.Value[:gate:gate], '}')
		}
	}
	l.Produce(recs[:40]...)
	s := p.storeOf(earlier)
	cfg := settings(l)
	if err := p.read(l, s, s, cfg); err != nil {
		p.Fatal(err)
	}
	before := p.sums(s)
	if err := s.Close(); err != nil {
		p.Fatal(err)
	}
	s = p.store()
	p.blocksFit(s)
	l.Produce(recs[40:]...)
	top, err := ferry().Topology()
	if err != nil {
		p.Fatal(err)
	}
	cfg.Business, cfg.Topology = ferry(), top
	if err := p.read(l, s, s, cfg); err != nil {
		p.Fatal(err)
	}
	p.whole(s, recs)
	after := p.sums(s)
	maps.DeleteFunc(after, func(name string, _ analytics.Sum) bool { _, ok := before[name]; return !ok })
	if names := changed(before, after); len(names) > 0 {
		p.Errorf("the rows from before have changed in %v", names)
	}
	rows := p.ask(s, "SELECT min(`gate`), max(`gate`) FROM `event_crossing_boarded`")
	p.same("the new column", rows, " last")
	if n := p.ask(s, "SELECT count(*) FROM `saga_cross`")[0][0].(int64); n == 0 {
		p.Error("the new saga has no rows")
	}
	if err := s.Close(); err != nil {
		p.Fatal(err)
	}
	s = p.storeOf(earlier)
	l.Produce(weather("buoy", "afterwards", "h1", 1))
	if err := p.read(l, s, s, settings(l)); err != nil {
		p.Fatal(err)
	}
	p.goOn(l, s, append(recs, weather("buoy", "afterwards", "h1", 1)))
}

func aColumnOfAnotherKind(p *place) {
	_, s := p.sailed()
	if err := s.Close(); err != nil {
		p.Fatal(err)
	}
	odd := ferryWith(boardedOdd{}, streams.NewFact[boardedOdd]("crossing.boarded"), business.Takes[boardedOdd]("boarded_at", "gate"))
	if s, err := p.Open(schemaOf(p, odd)); err == nil || !strings.Contains(err.Error(), "gate") {
		p.Errorf("opened with %v", err)
		if err == nil {
			s.Close()
		}
	}
	p.blocksFit(p.store())
}
