package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	analyticssqlite "github.com/weirstream/weir/processors/analytics/sqlite"
	"github.com/weirstream/weir/processors/backfill"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// Backfill is what is asked of one.
type Backfill struct {
	FromStores bool
	Fewer      bool // swap also for tables with fewer events
	Twice      bool // take events in of which the log seems to have the same
	File       string
	Mapping    string  // the path of a file's mapping
	Rate       float64 // events a second; 0: as fast as they are taken
	Told       func(rebuild.Progress)
}

// BackfillState is what there is beside the tables of analytics, and in them.
type BackfillState struct {
	analytics.Beside
	Events       int64               `json:"events"`
	ShadowEvents int64               `json:"shadow_events,omitempty"`
	Files        []rebuild.KnownFile `json:"files"`
}

// Anew writes the tables of analytics anew, beside units that run elsewhere. What is
// embedded must not be another process's.
func Anew(ctx context.Context, o Options, b Backfill) (out *rebuild.Report, err error) {
	err = withAnalytics(ctx, o, true, func(p *platform, live analytics.Swappable) error {
		r, err := p.anew(ctx, live, b)
		if err == nil {
			out, err = r.Run(ctx)
		}
		return err
	})
	return out, err
}

func (p *platform) anew(ctx context.Context, live analytics.Swappable, b Backfill) (*rebuild.Rebuild, error) {
	stores, err := p.allStores(ctx)
	if err != nil {
		return nil, err
	}
	return &rebuild.Rebuild{Live: live, Schema: p.analytics.schema, FromStores: b.FromStores, Fewer: b.Fewer, Rate: b.Rate, Told: b.Told, Log: p.Log,
		Config: projection.Config{Client: p.kafka, Business: p.Business, Topology: p.topology, Partitions: p.Config.Partitions, Stores: stores, Keep: p.keepHistory(), Batch: analyticsBatch}}, nil
}

// allStores opens every event store that is here; nil if some are elsewhere.
func (p *platform) allStores(ctx context.Context) (func(context.Context, string) (streams.Store, error), error) {
	if p.postgres == nil {
		for _, s := range p.topology.Services {
			if p.isThere(s.Name) != nil {
				return nil, nil
			}
			store, err := p.openStore(ctx, s.Name)
			if err != nil {
				return nil, err
			}
			p.stores[s.Name] = store
			p.closeAtEnd("event store of "+s.Name, store.Close)
		}
	}
	p.closeAtEnd("event stores of others", p.closeBorrowed)
	return p.eventStores(), nil
}

// LoadFile takes the events of a file into analytics; dry only reads it.
func LoadFile(ctx context.Context, o Options, b Backfill, dry bool) (out *rebuild.FileReport, err error) {
	err = withAnalytics(ctx, o, false, func(p *platform, live analytics.Swappable) error {
		m, text, err := rebuild.ReadMapping(b.Mapping)
		if err != nil {
			return err
		}
		f, err := backfill.Open(b.File, m, p.Business, p.topology)
		if err != nil {
			return err
		}
		l := &rebuild.Load{Live: live, Schema: p.analytics.schema, File: f, Name: filepath.Base(b.File), Mapping: text, Rate: b.Rate, Keep: p.keepHistory(), Twice: b.Twice, Told: b.Told}
		if dry {
			out, err = l.Dry(ctx)
		} else {
			out, err = l.Run(ctx)
		}
		return err
	})
	return out, err
}

// RemoveFile takes the events of a file out of analytics again.
func RemoveFile(ctx context.Context, o Options, topic string) (out rebuild.KnownFile, err error) {
	err = withAnalytics(ctx, o, false, func(_ *platform, live analytics.Swappable) (err error) {
		out, err = rebuild.Remove(ctx, live, topic)
		return err
	})
	return out, err
}

// DropBeside removes what is beside the tables: the old ones and what is staged, or the
// shadow.
func DropBeside(ctx context.Context, o Options, what string) (out BackfillState, err error) {
	err = withAnalytics(ctx, o, false, func(_ *platform, live analytics.Swappable) error {
		if out, err = stateOf(ctx, live); err != nil {
			return err
		}
		if out.Half {
			return errors.New("a swap is half done, and what is beside the tables belongs to it: weir backfill --from log finishes it")
		}
		drop := []string{what}
		if what == analytics.OldTables {
			drop = append(drop, out.Staged...)
		}
		for _, what := range drop {
			if err := live.Drop(ctx, what); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Backfilled tells what there is, also while a backfill is under way.
func Backfilled(ctx context.Context, o Options) (out BackfillState, err error) {
	o.defaults()
	if o.Config.ClickHouse.URL != "" {
		err = withAnalytics(ctx, o, false, func(_ *platform, live analytics.Swappable) error {
			out, err = stateOf(ctx, live)
			return err
		})
		return out, err
	}
	path := filepath.Join(o.Config.Data, analyticsFile)
	if !analyticssqlite.IsThere(path) {
		return out, noAnalytics(path)
	}
	p := &platform{Options: o}
	if err := p.declareAnalytics(); err != nil {
		return out, err
	}
	live, err := analyticssqlite.OpenLive(path, p.analytics.schema)
	if err != nil {
		return out, err
	}
	out, err = stateOf(ctx, live)
	return out, errors.Join(err, live.Close())
}

func noAnalytics(path string) error {
	return fmt.Errorf("there is no analytics at %s: name the directory of a weir dev with --data, or a configuration with clickhouse.url", path)
}

func stateOf(ctx context.Context, live analytics.Swappable) (out BackfillState, err error) {
	if out.Beside, err = live.Beside(ctx); err != nil {
		return out, err
	}
	if out.Events, err = rebuild.Events(ctx, live); err != nil {
		return out, err
	}
	if out.Files, err = rebuild.Files(ctx, live); err != nil || !out.Shadow {
		return out, err
	}
	shadow, err := live.Shadow(ctx)
	if err != nil {
		return out, err
	}
	out.ShadowEvents, err = rebuild.Events(ctx, shadow)
	return out, errors.Join(err, shadow.Close())
}

// Planned is what writing the tables anew would do.
func Planned(ctx context.Context, o Options, b Backfill) (out rebuild.Plan, err error) {
	err = withAnalytics(ctx, o, true, func(p *platform, live analytics.Swappable) error {
		r, err := p.anew(ctx, live, b)
		if err == nil {
			out, err = r.Plan(ctx)
		}
		return err
	})
	return out, err
}

func (p *platform) declareAnalytics() (err error) {
	if p.topology, err = p.Business.Topology(); err == nil {
		p.analytics.schema, err = analytics.NewSchema(p.Business, p.topology)
	}
	return err
}

// withAnalytics opens analytics, and the log if that is needed, without anything that
// would work on them.
func withAnalytics(ctx context.Context, o Options, log bool, f func(*platform, analytics.Swappable) error) (err error) {
	o.Kafka = "127.0.0.1:0" // nobody else is to come to an embedded log
	o.defaults()
	p := &platform{Options: o, stores: map[string]streams.Store{}, borrowed: map[string]streams.Store{}, metrics: prometheus.NewRegistry()} // which nobody reads
	defer p.stop()
	if err := p.declareAnalytics(); err != nil {
		return err
	}
	if o.Config.ClickHouse.URL == "" && !analyticssqlite.IsThere(p.path(analyticsFile)) {
		return noAnalytics(p.path(analyticsFile))
	}
	if _, err := os.Stat(p.path("log")); log && len(p.Config.Kafka.Brokers) == 0 && err != nil {
		return fmt.Errorf("there is no log in %q: %w. Name the directory of a weir dev with --data, or a configuration with Kafka's brokers", p.Config.Data, err)
	}
	if log {
		if err := errors.Join(p.startKafka(ctx), p.startPostgres(ctx), p.countPartitions(ctx)); err != nil {
			return err
		}
	}
	live, err := p.openAnalytics()
	if err != nil {
		return err
	}
	p.closeAtEnd("analytics", live.Close)
	return f(p, live)
}

// countPartitions asks an embedded log how many it has: weir dev was told, and no
// configuration says it.
func (p *platform) countPartitions(ctx context.Context) error {
	if p.broker == nil {
		return nil
	}
	cl, err := kgo.NewClient(p.kafka...)
	if err != nil {
		return err
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("the topics of the log cannot be listed: %w", err)
	}
	for _, t := range p.topology.Topics() {
		if n := len(topics[t.Name].Partitions); n > 0 {
			p.Config.Partitions = int32(n)
		}
	}
	return nil
}
