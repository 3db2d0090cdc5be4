package platform

import (
	"context"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// analyticsPart is what this process has of analytics: its store, and, where it is this
// process's turn, who writes it.
type analyticsPart struct {
	schema *analytics.Schema
	store  analytics.Store // nil: not here
	writer *projection.Writer
	lag    readerLag

	ctx         context.Context // of what is asked of it by hand; ends with the platform
	reconciling reconciliation
}

// What is written at once: all of a second, or this many records, which make some 100,000
// rows.
const (
	analyticsBatch   = 30_000
	analyticsSpacing = time.Second
)

// startAnalytics opens analytics, and writes it if this process is to.
func (p *platform) startAnalytics(ctx context.Context) (err error) {
	if !p.units.analytics && (!p.units.gateway || p.Config.ClickHouse.URL == "") {
		return nil
	}
	a := &p.analytics
	if a.schema, err = analytics.NewSchema(p.Business, p.topology); err != nil {
		return err
	}
	if a.store, err = p.openAnalytics(); err != nil { // everybody works without it
		err = &streams.OfflineError{Err: err}
		p.newUnit(AnalyticsUnit).set(unitHalted, err)
		p.Log.Error("a unit is halted, the others go on", "unit", AnalyticsUnit, "error", err)
		a.store = nil
		return nil
	}
	p.closeAtEnd("analytics", a.store.Close)
	var end context.CancelFunc
	a.ctx, end = context.WithCancel(context.WithoutCancel(ctx))
	p.wait = append(p.wait, func() {
		end()
		a.reconciling.all.Wait()
	})
	if err := p.follow(ctx, &a.lag, a.store.Offsets); err != nil {
		return err
	}
	if !p.units.analytics {
		return nil
	}
	a.writer = projection.NewWriter(a.store)
	writer := p.newUnit(AnalyticsUnit)
	prove, err := p.reconciler()
	if err != nil {
		return err
	}
	turn := func(ctx context.Context) error {
		var proving sync.WaitGroup
		proving.Go(func() { prove(ctx) })
		defer proving.Wait()
		p.keep(ctx, writer, p.writeAnalytics)
		return nil
	}
	p.background(ctx, "turn of analytics", func(ctx context.Context) error { return p.exclusively(ctx, AnalyticsUnit, turn) })
	return nil
}

// reconciler makes what proves analytics while it is this process's turn. What it tells is
// gone when the turn is over.
func (p *platform) reconciler() (func(context.Context), error) {
	i := telemetry.NewInstruments(p.metrics)
	proved, rows, differences := i.Gauge(telemetry.AnalyticsProved), i.Counter(telemetry.AnalyticsProvedRows), i.Gauge(telemetry.AnalyticsDifferences)
	return func(ctx context.Context) {
		defer func() {
			proved.Reset()
			differences.Reset()
		}()
		r := &analytics.Reconciler{Store: p.analytics.store, Schema: p.analytics.schema, Client: p.kafka, Keep: p.keepHistory(), Log: p.Log,
			Proved: func(x analytics.Progress) {
				proved.WithLabelValues().Set(float64(x.Until.UnixNano()) / 1e9)
				rows.WithLabelValues().Add(float64(x.Rows))
				for table, n := range x.Found {
					differences.WithLabelValues(table).Set(float64(n))
				}
			}}
		if err := r.Run(ctx); err != nil {
			p.Log.Error("analytics is not proved", "error", err)
		}
	}, i.Err()
}

func (p *platform) keepHistory() time.Duration {
	return time.Duration(p.Config.HistoryDays) * 24 * time.Hour
}

// asked is analytics as the interface asks it; nil if it is not here.
func (p *platform) askedAnalytics() *analytics.Model {
	if p.analytics.store == nil {
		return nil
	}
	return &analytics.Model{Store: p.analytics.store, Schema: p.analytics.schema, Most: analyticsMost}
}

// analyticsMost bounds the rows that one question may read.
const analyticsMost = 200_000_000

func (p *platform) writeAnalytics(ctx context.Context) error {
	err := p.analytics.writer.Run(ctx, projection.Config{Client: p.kafka, Business: p.Business, Topology: p.topology, Partitions: p.Config.Partitions,
		Log: p.Log, TopicWait: 2 * time.Minute, Stores: p.eventStores(), Keep: p.keepHistory(),
		What: "analytics", Rebuild: analytics.Rebuild, Decode: true, Batch: analyticsBatch, Spacing: analyticsSpacing})
	return p.fenced(ctx, "analytics", err)
}
