package platform

import (
	"context"
	"errors"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// analyticsPart is what this process has of analytics: its store, and, where it is this
// process's turn, who writes it.
type analyticsPart struct {
	schema *analytics.Schema
	store  analytics.Store // nil: not here
	writer *projection.Writer
	lag    readerLag
}

// What is written at once: all of a second, or this many records.
const (
	analyticsBatch   = 100_000
	analyticsSpacing = time.Second
)

// startAnalytics opens analytics, and writes it if this process is to.
func (p *platform) startAnalytics(ctx context.Context) (err error) {
	if p.Config.ClickHouse.URL == "" || !p.units.gateway && !p.units.analytics {
		return nil
	}
	a := &p.analytics
	if a.schema, err = analytics.NewSchema(p.Business, p.topology); err != nil {
		return err
	}
	if a.store, err = p.openAnalytics(); err != nil {
		return err
	}
	p.closeAtEnd("analytics", a.store.Close)
	if err := p.follow(ctx, &a.lag, a.store.Offsets); err != nil {
		return err
	}
	if !p.units.analytics {
		return nil
	}
	a.writer = projection.NewWriter(a.store)
	writer := p.newUnit(AnalyticsUnit)
	turn := func(ctx context.Context) error {
		p.keep(ctx, writer, p.writeAnalytics)
		return nil
	}
	p.background(ctx, "turn of analytics", func(ctx context.Context) error {
		if p.broker != nil {
			return turn(ctx) // nobody else reads an embedded log
		}
		return streams.RunExclusive(ctx, p.runtime(), AnalyticsUnit, turn)
	})
	return nil
}

func (p *platform) writeAnalytics(ctx context.Context) error {
	err := p.analytics.writer.Run(ctx, projection.Config{Client: p.kafka, Business: p.Business, Topology: p.topology, Partitions: p.Config.Partitions,
		Log: p.Log, TopicWait: 2 * time.Minute, Stores: p.eventStores(), Keep: time.Duration(p.Config.HistoryDays) * 24 * time.Hour,
		What: "analytics", Rebuild: analytics.Rebuild, Decode: true, Batch: analyticsBatch, Spacing: analyticsSpacing})
	if errors.Is(err, projection.ErrFenced) {
		p.Log.Warn("analytics is another process's", "error", err)
		select {
		case <-time.After(fencedTime):
		case <-ctx.Done():
		}
	}
	return err
}
