package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// A commit is one span, of the trace of the first of its decisions, with links
// to those that are kept, and to so many of them at most.
func TestCommitLinksToItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name         string
			kept, others int // decisions
			budget       int
			links        int // -1: no span
		}{
			{"kept and others", 3, 200, 1000, 3},
			{"many", 300, 0, 1000, 128},
			{"none is kept", 0, 5, 1000, -1},
			{"no decisions", 0, 0, 1000, -1},
			{"the budget is used up", 10, 0, 10, -1},
		} {
			recent := &telemetry.Recent{}
			tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: exporters(recent), SpansPerSecond: c.budget})
			if err != nil {
				t.Fatal(err)
			}
			batch := streams.BatchInfo{Service: "desk", Lane: 2, Decide: time.Second, Events: []string{"a", "b"}}
			var spans []string
			tel.OnDecide(streams.Hop{Service: "desk", Decider: "desk", Name: "x"}) // the budget's second begins with a new trace
			for n := range c.others + c.kept {
				flag := 0
				if n >= c.others {
					flag = 1
				}
				tp, done := tel.OnDecide(streams.Hop{Service: "desk", Decider: "desk", Name: "x", Origin: streams.Origin{Traceparent: fmt.Sprintf("00-%032x-%s-%02d", n+1, rootID, flag)}})
				if done != nil {
					done(nil)
					spans = append(spans, tp[3:35]+tp[36:52])
				}
				batch.Inputs = append(batch.Inputs, streams.InputInfo{Origin: streams.Origin{Traceparent: tp}})
			}
			if len(spans) != c.kept {
				t.Fatalf("%s: %d decisions are kept", c.name, len(spans))
			}
			done := tel.OnCommit(batch)
			if (done != nil) != (c.links >= 0) {
				t.Errorf("%s: a span: %v", c.name, done != nil)
			}
			if done != nil {
				time.Sleep(time.Second)
				done(nil)
			}
			if err := tel.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if done == nil {
				continue
			}
			commit := byName(t, recent.Trace(spans[0][:32]))["commit"]
			if len(commit) != 1 || commit[0].Parent != spans[0][32:] || commit[0].Kind != "internal" || commit[0].End.Sub(commit[0].Start) != 2*time.Second {
				t.Fatalf("%s: %+v", c.name, commit)
			}
			if a := commit[0].Attributes; a["service.name"] != "desk" || a["weir.lane"] != "2" || a["weir.events"] != "2" || a["weir.inputs"] != fmt.Sprint(c.kept+c.others) || a["weir.result"] != "committed" {
				t.Errorf("%s: %v", c.name, a)
			}
			if len(commit[0].Links) != c.links {
				t.Errorf("%s: %d links", c.name, len(commit[0].Links))
			}
			for i, l := range commit[0].Links {
				if l.Trace+l.Span != spans[i] {
					t.Errorf("%s: link %d is to %+v, want %s", c.name, i, l, spans[i])
				}
			}
		}
	})
}

// fullDisk is a store that refuses so many batches.
type fullDisk struct {
	streams.Store
	refuses atomic.Int64
}

func (s *fullDisk) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if tx.Inputs != nil && s.refuses.Add(-1) >= 0 {
		return errors.New("the disk is full")
	}
	return s.Store.Commit(ctx, lane, tx)
}

// What a commit that fails throws away is seen, and what is decided again
// carries on from the same cause.
func TestFailedCommitIsSeen(t *testing.T) {
	inErrands(t, 1000, func(e *errands) {
		if err := e.floor.Stop(); err != nil {
			t.Fatal(err)
		}
		disk := &fullDisk{Store: e.c.OpenStore("floor")}
		disk.refuses.Store(1)
		e.floor = e.c.StartOn("floor", disk)
		e.request("r-1", "00-"+traceID+"-"+rootID+"-01", runErrand{Customer: "c-1"})
		time.Sleep(10 * time.Second)
		got := e.stored("c-1")
		e.c.Close()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
		e.shut()
		var lost, done telemetry.Span
		for _, s := range byName(t, e.recent.Trace(traceID))["floor errand.asked"] {
			if s.Attributes["weir.result"] == "uncommitted" {
				lost = s
			} else {
				done = s
			}
		}
		if !strings.Contains(lost.Error, "the disk is full") || done.Error != "" || lost.Parent != done.Parent || spanOf(got["floor.loaded"]) != done.ID {
			t.Errorf("%s, then %s; the event carries %s", describe(lost), describe(done), got["floor.loaded"].Traceparent)
		}
		if c := under(t, byName(t, e.recent.Trace(traceID)), lost.ID, "commit"); !strings.Contains(c.Error, "the disk is full") || c.Attributes["weir.result"] != "uncommitted" {
			t.Errorf("%s %v", describe(c), c.Attributes)
		}
	})
}

// resources is an exporter that notes whose spans come in each export.
type resources struct{ of map[string][]string }

func (r resources) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		name, _ := s.Resource().Set().Value("service.name")
		space, _ := s.Resource().Set().Value("service.namespace")
		key := space.AsString() + "/" + name.AsString()
		r.of[key] = append(r.of[key], s.Name())
	}
	return nil
}

func (resources) Shutdown(context.Context) error { return nil }

// To a collector every service is one of its own, though one process runs all.
func TestEveryServiceIsAResource(t *testing.T) {
	r := resources{map[string][]string{}}
	tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: []sdktrace.SpanExporter{r}, SpansPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"desk", "floor", "desk"} {
		tp, done := tel.OnDecide(streams.Hop{Service: service, Decider: service, Name: "x", Topic: "till.customer"})
		done(nil)
		_, asked := tel.OnEffect(streams.Attempt{Service: service, Effect: "ring", Endpoint: "phone", Origin: streams.Origin{Traceparent: tp}})
		asked(nil)
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.of), "map[weir/desk:[desk x ring desk x ring] weir/floor:[floor x ring]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
