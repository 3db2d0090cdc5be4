package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// A commit belongs to many sagas and is a span of none: every decision's span ends
// with it, and says when it began and what was in it.
func TestCommitIsAnEventOfItsDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recent := &telemetry.Recent{}
		tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: exporters(recent), SpansPerSecond: 1000})
		if err != nil {
			t.Fatal(err)
		}
		batch := streams.BatchInfo{Service: "desk", Lane: 2, Inputs: make([]streams.InputInfo, 3), Events: []string{"a", "b"}, Commit: time.Second}
		var done []func(streams.BatchInfo, error)
		for n := range 3 {
			_, d := tel.OnDecide(streams.Hop{Service: "desk", Decider: "desk", Name: "x", Origin: streams.Origin{Traceparent: fmt.Sprintf("00-%032x-%s-01", n+1, rootID)}})
			done = append(done, d)
		}
		time.Sleep(3 * time.Second)
		for _, d := range done {
			d(batch, nil)
		}
		if err := tel.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for n := range 3 {
			spans := recent.Trace(fmt.Sprintf("%032x", n+1))
			if len(spans) != 1 || spans[0].Parent != rootID || len(spans[0].Links) != 0 || len(spans[0].Events) != 1 {
				t.Fatalf("%+v", spans)
			}
			c := spans[0].Events[0]
			if c.Name != "commit" || spans[0].End.Sub(c.At) != time.Second || fmt.Sprint(c.Attributes) != "map[weir.events:2 weir.inputs:3 weir.lane:2]" {
				t.Errorf("%+v", c)
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
	})
}

// resources is an exporter that notes whose spans come in each export.
type resources struct{ of map[string][]string }

func (r resources) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		of := func(name attribute.Key) string {
			v, _ := s.Resource().Set().Value(name)
			return v.AsString()
		}
		key := of("service.namespace") + "/" + of("service.name") + " " + of("service.version") + " " + of("service.instance.id")
		if host, _ := os.Hostname(); of("host.name") != host || of("ip") != host {
			key += " of another host"
		}
		r.of[key] = append(r.of[key], s.Name())
	}
	return nil
}

func (resources) Shutdown(context.Context) error { return nil }

// To a collector every service is one of its own, though one process runs all.
func TestEveryServiceIsAResource(t *testing.T) {
	r := resources{map[string][]string{}}
	tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: []sdktrace.SpanExporter{r}, SpansPerSecond: 1000, Version: "v1", Instance: "pod-7"})
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"desk", "floor", "desk"} {
		tp, done := tel.OnDecide(streams.Hop{Service: service, Decider: service, Name: "x", Topic: "till.customer"})
		done(streams.BatchInfo{}, nil)
		_, asked := tel.OnEffect(streams.Attempt{Service: service, Effect: "ring", Endpoint: "phone", Origin: streams.Origin{Traceparent: tp}})
		asked(nil)
	}
	if err := tel.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.of), "map[weir/desk v1 pod-7:[process till.customer ring process till.customer ring] weir/floor v1 pod-7:[process till.customer ring]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
