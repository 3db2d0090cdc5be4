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
	if p.broker != nil { // somebody may have made topics anew: nobody else would mend them
		if err := streams.RepairTopics(ctx, p.runtime()); err != nil {
			return err
		}
	}
	if err := p.persist(ctx, "the log", func() error { return streams.MakeTopics(ctx, p.runtime()) }); err != nil {
		return err
	}
	p.telemetry.Declare(p.topology, p.units.services)
	run := map[string]func(context.Context) error{}
	for _, name := range p.units.services {
		var store streams.Store
		err := p.persist(ctx, "the event store of "+name, func() (err error) {
			store, err = p.openStore(ctx, name)
			return err
		})
		if err != nil {
			return err
		}
		p.stores[name] = store
		p.closeAtEnd("event store of "+name, store.Close)
		cfg := p.runtime()
		if p.faults != nil {
			store = p.faults.Slow(store)
			cfg.Hooks, cfg.Now = append(cfg.Hooks, p.faults), p.faults.Clock(name)
		}
		if p.instances[name], err = streams.NewInstance(cfg, name, store); err != nil {
			return err
		}
		run[name] = p.instances[name].Run
	}
	p.together(ctx, run) // each waits for its group, and all drain at once
	if p.faults != nil {
		p.wait = append(p.wait, p.faults.End) // before they drain
	}
	return nil
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
	rows := &lateStore{}
	p.reads = projection.New(rows)
	p.closeAtEnd("read model", p.reads.Close)
	p.closeAtEnd("event stores of others", p.closeBorrowed)
	if s, err := p.openReads(ctx); err == nil {
		rows.open(s)
	} else { // services take commands without it
		first := err
		p.background(ctx, "store of the read model", func(ctx context.Context) error {
			if err := first; err != nil {
				first = nil
				return err
			}
			s, err := p.openReads(ctx)
			if err == nil {
				rows.open(s)
			}
			return err
		})
	}
	var err error
	if err := p.follow(ctx, &p.lag, p.reads.Offsets); err != nil {
		return err
	}
	if p.units.projection {
		if p.watched, err = newWatched(p); err != nil {
			return err
		}
		writer := p.newUnit(ProjectionUnit)
		p.background(ctx, "turn of the read model", func(ctx context.Context) error { return p.project(ctx, writer) })
	}
	return nil
}

// fencedTime is how long a fenced writer waits before it looks whether it is still its
// turn: by then its group has told it.
const fencedTime = 20 * time.Second

// project writes the read model, and watches the whole, while it is this process's
// turn. A writer that is halted keeps its turn: the whole is watched still.
func (p *platform) project(ctx context.Context, writer *unit) error {
	turn := func(ctx context.Context) error {
		defer p.watch(ctx)()
		p.keep(ctx, writer, p.writeReads)
		return nil
	}
	return p.exclusively(ctx, ProjectionUnit, turn)
}

// exclusively has a unit take its turns, in one process at a time.
func (p *platform) exclusively(ctx context.Context, unit string, turn func(context.Context) error) error {
	if p.broker != nil {
		return turn(ctx) // nobody else reads an embedded log
	}
	return streams.RunExclusive(ctx, p.runtime(), unit, turn)
}

// fenced waits after a writer lost what it wrote to another process's.
func (p *platform) fenced(ctx context.Context, what string, err error) error {
	if errors.Is(err, projection.ErrFenced) {
		p.Log.Warn(what+" is another process's", "error", err)
		select {
		case <-time.After(fencedTime):
		case <-ctx.Done():
		}
	}
	return err
}

func (p *platform) writeReads(ctx context.Context) error {
	if err := p.restoreSagas(ctx); err != nil {
		return err
	}
	err := p.reads.Run(ctx, projection.Config{Client: p.kafka, Business: p.Business, Topology: p.topology, Partitions: p.Config.Partitions,
		Log: p.Log, TopicWait: 2 * time.Minute, // the services make the topics at the same time
		Stores: p.eventStores(), Keep: p.keepHistory(),
		Changed: gateway.DocumentsChanged(p.cache), Written: p.observe})
	return p.fenced(ctx, "the read model", err)
}

// eventStores gives the services' event stores, from which a read model is built
// when the log no longer has what it needs: those of this process, or any where
// they are in a database that all share. Nil if others have them.
func (p *platform) eventStores() func(context.Context, string) (streams.Store, error) {
	shared := p.Config.Postgres.URL != ""
	if !shared && len(p.stores) < len(p.topology.Services) {
		return nil
	}
	return func(ctx context.Context, service string) (streams.Store, error) {
		p.storesMu.Lock()
		defer p.storesMu.Unlock()
		for _, have := range []map[string]streams.Store{p.stores, p.borrowed} {
			if s := have[service]; s != nil {
				return s, nil
			}
		}
		s, err := p.openStore(ctx, service)
		if err == nil {
			p.borrowed[service] = s
		}
		return s, err
	}
}

func (p *platform) closeBorrowed() error {
	p.storesMu.Lock()
	defer p.storesMu.Unlock()
	var errs []error
	for _, s := range p.borrowed {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
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
	for _, name := range p.units.pipelines {
		keep(name, func() error { return p.pipelineReady(name) })
	}
	if p.units.gateway {
		keep(GatewayUnit, well)
	}
	if p.units.prober {
		keep(ProberUnit, well)
	}
	for unit, here := range map[string]bool{ProjectionUnit: p.units.projection, AnalyticsUnit: p.units.analytics} {
		if here {
			keep(unit, func() error {
				if u := p.supervised.named(unit); u.get().State == unitHalted {
					return errors.New(u.trouble())
				}
				return nil
			})
		}
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
		if t := p.supervised.named(name).trouble(); t != "" {
			why = append(why, "service "+t)
			continue
		}
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
	for _, name := range p.units.pipelines {
		if err := p.pipelineReady(name); err != nil {
			why = append(why, err.Error())
		}
	}
	why = append(why, p.ports.unwell()...)
	slices.Sort(why)
	return why
}

// isService tells the units without which this process is not ready.
func (p *platform) isService(name string) bool {
	return slices.Contains(p.units.services, name) || slices.Contains(p.units.pipelines, name)
}

// coming tells whether something may be at work in a moment: what is halted is not.
func (p *platform) coming() bool {
	if len(p.notReady()) == 0 {
		return false
	}
	for _, name := range p.units.services {
		if p.supervised.named(name).get().State == unitHalted {
			continue
		}
		lanes := p.instances[name].Lanes()
		for _, l := range lanes {
			if l.State != streams.LaneRunning && l.State != streams.LaneHalted {
				return true
			}
		}
		if p.broker != nil && len(lanes) < int(p.Config.Partitions) {
			return true
		}
	}
	return false
}

func (p *platform) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	say := time.NewTicker(10 * time.Second)
	defer say.Stop()
	for p.coming() {
		select {
		case <-say.C:
			p.Log.Warn("not ready yet", "because", p.notReady())
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
