package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/deploy/discovery"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams"
)

func (p *platform) startServices(ctx context.Context) error {
	if err := streams.MakeTopics(ctx, p.runtime()); err != nil {
		return err
	}
	for _, name := range p.units.services {
		store, err := p.openStore(ctx, name)
		if err != nil {
			return err
		}
		p.stores[name] = store
		p.closeAtEnd("event store of "+name, store.Close)
		cfg := p.runtime()
		if p.faults != nil {
			store = slowStore{store, &p.faults.slow}
			cfg.Hooks, cfg.Now = append(cfg.Hooks, p.faults), p.faults.clock(name)
		}
		if p.instances[name], err = streams.NewInstance(cfg, name, store); err != nil {
			return err
		}
	}
	// Together: each waits for its group, and all drain at once.
	p.background(ctx, "services", func(ctx context.Context) error { return runAll(ctx, p.instances) })
	if p.faults != nil {
		p.wait = append(p.wait, p.faults.end) // before they drain
	}
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

// runtime is what instances run with.
func (p *platform) runtime() streams.Config {
	k := &p.Config.Kafka
	return streams.Config{Topology: p.topology, Client: p.kafka, Partitions: p.Config.Partitions, Replication: k.Replication, MinInSync: k.MinInSync,
		ServerGroups: k.Protocol == "consumer", Instance: p.instance(), Commands: p.commands, Transports: p.outside.transports, Hooks: []streams.Hook{p.telemetry}, Log: p.Log, StateCache: 2000}
}

// instance names this process in its groups: nobody else on this host listens on
// its address, and it will listen there again. On its own log it is alone.
func (p *platform) instance() string {
	host, err := os.Hostname()
	if p.broker != nil || err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, host+"-"+p.advertised()+"-"+p.Config.HTTP)
}

// startReads opens the read model, and writes it if this process is to.
func (p *platform) startReads(ctx context.Context) error {
	if !p.units.gateway && !p.units.projection {
		return nil
	}
	rows, err := p.openReads(ctx)
	if err != nil {
		return err
	}
	p.reads = projection.New(rows)
	p.closeAtEnd("read model", p.reads.Close)
	if p.units.projection {
		if p.watched, err = newWatched(p); err != nil {
			return err
		}
		p.background(ctx, "read model", p.project)
	}
	return nil
}

// fencedTime is how long a fenced writer of the read model waits before it
// looks whether it is still its turn: by then its group has told it.
const fencedTime = 20 * time.Second

// project writes the read model while it is this process's turn.
func (p *platform) project(ctx context.Context) error {
	run := func(ctx context.Context) error {
		stop, err := p.watch(ctx)
		if err != nil {
			return err
		}
		defer stop()
		return p.reads.Run(ctx, projection.Config{Client: p.kafka, Topology: p.topology, Partitions: p.Config.Partitions, Sagas: p.sagas,
			Log: p.Log, TopicWait: 2 * time.Minute, // the services make the topics at the same time
			Keep:    time.Duration(p.Config.HistoryDays) * 24 * time.Hour,
			Changed: gateway.OrdersChanged(p.cache), Written: p.observe})
	}
	if p.broker != nil {
		return run(ctx) // nobody else reads an embedded log
	}
	return streams.RunExclusive(ctx, p.runtime(), streams.ProjectionUnit, func(ctx context.Context) error {
		for {
			err := run(ctx)
			if !errors.Is(err, projection.ErrFenced) {
				return err
			}
			p.Log.Warn("the read model is another process's", "error", err)
			select {
			case <-time.After(fencedTime):
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// register makes this process's units known until the platform stops.
func (p *platform) register(ctx context.Context) {
	keep := func(name string, healthy func() error, tags ...string) {
		u := discovery.Unit{Name: name, ID: p.unitID(name), Address: p.advertised(), Tags: tags}
		p.background(ctx, "registration of "+name, func(ctx context.Context) error { return p.registry.Keep(ctx, u, healthy) })
	}
	well := func() error { return nil }
	for _, name := range p.units.services {
		keep(name, func() error { return p.healthy(name) })
	}
	if p.units.gateway {
		keep(GatewayUnit, well)
	}
	if p.units.projection {
		keep(ProjectionUnit, well)
	}
	keep("process", well, "metrics") // one a process: what Prometheus scrapes
}

// unitID is that of one of this process's units. The host is in it: on two
// machines both may advertise the same loopback address.
func (p *platform) unitID(name string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host + ":" + p.advertised()
}

// advertised is where other units reach this one.
func (p *platform) advertised() string {
	if p.Config.Consul.Advertise == "" {
		return p.Config.HTTP
	}
	_, port, _ := net.SplitHostPort(p.Config.HTTP) // it is listened on
	return net.JoinHostPort(p.Config.Consul.Advertise, port)
}

// healthy tells of a service that runs here whether its lanes are at work.
func (p *platform) healthy(service string) error {
	for _, l := range p.instances[service].Lanes() {
		if l.State != streams.LaneRunning {
			return laneError(l)
		}
		if l.Deaf != nil {
			return deafError(l)
		}
	}
	return nil
}

func laneError(l streams.LaneStatus) error {
	state := string(l.State)
	if state == "" {
		state = "being claimed"
	}
	return fmt.Errorf("lane %s/%d is %s: %v", l.Service, l.Lane, state, l.Err)
}

func deafError(l streams.LaneStatus) error {
	return fmt.Errorf("lane %s/%d takes no commands: %w", l.Service, l.Lane, l.Deaf)
}

// notReady lists what is not at work yet, or not any more. Alone with its
// embedded log, a process has to own every lane.
func (p *platform) notReady() (why []string) {
	for _, name := range p.units.services {
		lanes := p.instances[name].Lanes()
		if !p.instances[name].Joined() {
			why = append(why, "service "+name+" has not joined its group yet")
		}
		for _, l := range lanes {
			if l.State != streams.LaneRunning {
				why = append(why, laneError(l).Error())
			} else if l.Deaf != nil {
				why = append(why, deafError(l).Error())
			}
		}
		if p.broker != nil && len(lanes) < int(p.Config.Partitions) {
			why = append(why, "service "+name+" owns "+strconv.Itoa(len(lanes))+" of "+strconv.Itoa(int(p.Config.Partitions))+" lanes")
		}
	}
	why = append(why, p.ports.unwell()...)
	slices.Sort(why)
	return why
}

func (p *platform) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	say := time.NewTicker(10 * time.Second)
	defer say.Stop()
	for {
		why := p.notReady()
		if len(why) == 0 {
			return nil
		}
		select {
		case <-say.C:
			p.Log.Warn("not ready yet", "because", why)
		case <-tick.C:
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
				return cause
			}
			return nil
		}
	}
}
