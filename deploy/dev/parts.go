package dev

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	projectionsqlite "github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

func (p *platform) startServices(ctx context.Context) error {
	if err := streams.MakeTopics(ctx, p.config()); err != nil {
		return err
	}
	for _, s := range p.topology.Services {
		store, err := sqlite.Open(p.path(s.Name+".db"), sqlite.WithCache(4<<20))
		if err != nil {
			return err
		}
		p.stores[s.Name] = store
		p.wait = append(p.wait, func() {
			if err := store.Close(); err != nil {
				p.Log.Error("event store not closed", "service", s.Name, "error", err)
			}
		})
		i, err := streams.NewInstance(p.config(), s.Name, store)
		if err != nil {
			return err
		}
		p.instances[s.Name] = i
	}
	// Together: each waits for its group, and all drain at once.
	p.background(ctx, "services", func(ctx context.Context) error { return runAll(ctx, p.instances) })
	return nil
}

func runAll(ctx context.Context, instances map[string]*streams.Instance) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(instances))
	for name, i := range instances {
		go func() {
			err := i.Run(ctx)
			if err != nil {
				err = fmt.Errorf("service %s: %w", name, err)
			}
			ended <- err
		}()
	}
	var failed error
	for range instances {
		if err := <-ended; err != nil {
			failed = errors.Join(failed, err)
			cancel()
		}
	}
	return failed
}

func (p *platform) config() streams.Config {
	return streams.Config{Topology: p.topology, Client: p.broker.client(), Partitions: p.Partitions, Commands: p.commands,
		Transports: p.outside.transports, Hooks: []streams.Hook{p.telemetry}, Log: p.Log, StateCache: 2000}
}

func (p *platform) startReads(ctx context.Context) error {
	rows, err := projectionsqlite.Open(p.path("reads.db"))
	if err != nil {
		return err
	}
	p.reads = projection.New(rows)
	p.wait = append(p.wait, func() {
		if err := p.reads.Close(); err != nil {
			p.Log.Error("read model not closed", "error", err)
		}
	})
	p.background(ctx, "read model", func(ctx context.Context) error {
		return p.reads.Run(ctx, projection.Config{Client: p.broker.client(), Topology: p.topology, Partitions: p.Partitions, Sagas: p.sagas,
			TopicWait: 30 * time.Second}) // the services make the topics at the same time
	})
	return nil
}

// notReady lists what is not at work yet, or not any more.
func (p *platform) notReady() (why []string) {
	for _, s := range p.topology.Services {
		lanes := p.instances[s.Name].Lanes()
		for _, l := range lanes {
			if l.State != streams.LaneRunning {
				why = append(why, fmt.Sprintf("lane %s/%d is %s: %v", s.Name, l.Lane, orElse(string(l.State), "being claimed"), l.Err))
			}
		}
		if len(lanes) < int(p.Partitions) {
			why = append(why, fmt.Sprintf("service %s owns %d of %d lanes", s.Name, len(lanes), p.Partitions))
		}
	}
	return why
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

func (p *platform) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(p.notReady()) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		}
	}
	return nil
}

// startTrim deletes records that every reader is done with, beyond a window:
// the event stores are the history, and the embedded log lives in memory.
func (p *platform) startTrim(ctx context.Context) error {
	cl, err := kgo.NewClient(p.broker.client()...)
	if err != nil {
		return err
	}
	p.wait = append(p.wait, cl.Close)
	p.background(ctx, "trimming the log", func(ctx context.Context) error {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			if err := p.trim(ctx, kadm.NewClient(cl)); err != nil && ctx.Err() == nil {
				p.Log.Warn("log not trimmed", "error", err)
			}
		}
	})
	return nil
}

// trim deletes up to the lowest stored cursor of each partition, less the window.
func (p *platform) trim(ctx context.Context, adm *kadm.Client) error {
	if len(p.notReady()) > 0 {
		return nil // a lane that is not at work does not tell how far it has read
	}
	low := kadm.Offsets{}
	take := func(topic string, part int32, at int64) {
		if o, ok := low.Lookup(topic, part); !ok || at < o.At {
			low.Delete(topic, part) // Add keeps the higher of two
			low.Add(kadm.Offset{Topic: topic, Partition: part, At: at})
		}
	}
	for _, i := range p.instances {
		for _, l := range i.Lanes() {
			for t, at := range l.Offsets {
				take(t, l.Lane, at)
			}
		}
	}
	read, err := p.reads.Offsets(ctx)
	if err != nil {
		return err
	}
	del := kadm.Offsets{}
	for t, ps := range read { // it reads every topic: what it does not know, nobody has read
		for part, at := range ps {
			take(t, part, at)
			if o, _ := low.Lookup(t, part); o.At > int64(p.Keep) {
				del.Add(kadm.Offset{Topic: t, Partition: part, At: o.At - int64(p.Keep)})
			}
		}
	}
	if len(del) == 0 {
		return nil
	}
	_, err = adm.DeleteRecords(ctx, del)
	return err
}
