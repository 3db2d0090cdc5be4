package platform

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/sagamonitor"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// registerBuild tells which program this is, and registers the gauges of all
// processes.
func (p *platform) registerBuild() error {
	i := telemetry.NewInstruments(p.metrics)
	g := i.Gauge(telemetry.BuildInfo)
	p.behind = behindGauges{i.Gauge(telemetry.BehindRecords), i.Gauge(telemetry.BehindSeconds)}
	p.haltedUnits = i.Gauge(telemetry.UnitHalted)
	p.runs = i.Gauge(telemetry.UnitRuns)
	for _, name := range p.units.names() {
		p.runs.WithLabelValues(name).Set(1)
	}
	g.WithLabelValues(version(), runtime.Version()).Set(1)
	return i.Err()
}

// linkedMetrics are the metrics with exemplars that lead to a trace: to one that this
// process keeps, unless traces go elsewhere.
func (p *platform) linkedMetrics() prometheus.Gatherer {
	if p.Config.OTLP.Endpoint != "" {
		return p.metrics
	}
	return telemetry.Linked(p.metrics, p.traces.Has)
}

// version is that of the program.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "devel"
}

// lookEvery is how often the whole is looked at from outside.
const lookEvery = 2 * time.Second

// watched is what one process, the one that writes the read model, sees of the
// whole: sagas, and how far everybody is behind.
type watched struct {
	monitor *sagamonitor.Monitor
	behind  *streams.Watcher
}

// behindGauges are how far services and the read model are behind.
type behindGauges struct{ records, seconds *prometheus.GaugeVec }

func newWatched(p *platform) (w *watched, err error) {
	i := telemetry.NewInstruments(p.metrics)
	w = &watched{}
	if w.monitor, err = sagamonitor.New(p.Business, p.topology, i, time.Now); err != nil {
		return nil, err
	}
	if w.behind, err = streams.NewWatcher(p.runtime()); err != nil {
		return nil, err
	}
	p.wait = append(p.wait, w.behind.Close)
	return w, nil
}

// watch looks at the whole until stop, or ctx ends. What it tells is of one
// process at a time: it forgets all when it stops.
func (p *platform) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for failing := false; ; {
			err := p.look(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				p.Log.Warn("how far services are behind is not known", "error", err)
			}
			failing = err != nil
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		looking.Wait()
		p.watched.monitor.Restore(nil)
		p.watched.monitor.Sweep()
		p.forgetBehind()
	}
}

// forgetBehind removes what was told of services and pipelines.
func (p *platform) forgetBehind() {
	for _, s := range p.topology.Services {
		p.behind.records.DeletePartialMatch(prometheus.Labels{"service": s.Name})
		p.behind.seconds.DeletePartialMatch(prometheus.Labels{"service": s.Name})
	}
	for _, s := range p.topology.Pipelines {
		p.behind.records.DeletePartialMatch(prometheus.Labels{"service": s.Name})
		p.behind.seconds.DeletePartialMatch(prometheus.Labels{"service": s.Name})
	}
}

// look sets the gauges of the whole. Those of the log are gone while it cannot
// be asked: unknown is not the same as fine.
func (p *platform) look(ctx context.Context) error {
	p.watched.monitor.Sweep()
	ctx, cancel := context.WithTimeout(ctx, 5*lookEvery)
	defer cancel()
	all, err := p.watched.behind.Look(ctx)
	if err != nil {
		p.forgetBehind()
		return err
	}
	oldest := map[string]time.Duration{}
	for _, b := range all {
		p.behind.records.WithLabelValues(b.Service, b.Topic).Set(float64(b.Records))
		oldest[b.Service] = max(oldest[b.Service], b.Age)
	}
	for service, age := range oldest {
		p.behind.seconds.WithLabelValues(service).Set(age.Seconds())
	}
	return nil
}

// observe tells the monitor what was written.
func (p *platform) observe(events []projection.Event) {
	out := make([]sagamonitor.Event, len(events))
	for i := range events {
		out[i] = sagaEvent(&events[i].Entry)
	}
	p.watched.monitor.Observe(out)
}

func sagaEvent(e *projection.Entry) sagamonitor.Event {
	decider := e.Source[strings.LastIndexByte(e.Source, '/')+1:]
	return sagamonitor.Event{ID: e.ID, Type: e.Type, Version: e.Version, Correlation: e.Correlation, Causation: e.Causation, Decider: decider, Time: e.Time, Data: e.Data}
}

// Bounds of what a new writer reads again of the sagas under way: the rows must
// not wait for it. Sagas beyond are not measured.
const (
	restoredSagas = 10_000
	restoreTime   = 10 * time.Second
)

// restoreSagas has the monitor know the sagas that are under way.
func (p *platform) restoreSagas(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTime)
	defer cancel()
	events, err := p.underWay(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		p.Log.Warn("too many sagas are under way to measure all of them", "events", len(events))
	} else if err != nil {
		return err
	}
	p.watched.monitor.Restore(events)
	return nil
}

func (p *platform) underWay(ctx context.Context) (events []sagamonitor.Event, err error) {
	f := projection.SagaFilter{State: projection.Running}
	for n := 0; n < restoredSagas; {
		page, err := p.reads.Sagas(ctx, f)
		if err != nil {
			return events, fmt.Errorf("sagas under way not read: %w", err)
		}
		for _, s := range page.Items {
			entries, err := p.reads.Events(ctx, s.Correlation)
			if err != nil {
				return events, fmt.Errorf("events of saga %s not read: %w", s.Correlation, err)
			}
			for i := range entries {
				events = append(events, sagaEvent(&entries[i]))
			}
		}
		if n += len(page.Items); page.Next == "" {
			break
		}
		f.Page = page.Next
	}
	return events, nil
}
