package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// LaneState is how a lane of this process is.
type LaneState struct {
	Service string             `json:"service"`
	Lane    int32              `json:"lane"` // -1: all of a service that does not run
	State   streams.LaneChange `json:"state"`
	Because string             `json:"because,omitempty"`
}

// Lanes answers GET /v1/lanes.
type Lanes struct {
	Items []LaneState `json:"items"`
}

func (p *platform) listLanes(w http.ResponseWriter, _ *http.Request) {
	l := Lanes{Items: []LaneState{}}
	for _, name := range p.units.services {
		if t := p.supervised.named(name).trouble(); t != "" {
			l.Items = append(l.Items, LaneState{Service: name, Lane: -1, State: streams.LaneHalted, Because: t})
		}
		for _, s := range p.instances[name].Lanes() {
			x := LaneState{Service: name, Lane: s.Lane, State: s.State}
			switch {
			case s.Err != nil:
				x.Because = s.Err.Error()
			case s.Deaf != nil:
				x.Because = deafError(s).Error()
			}
			if x.State == "" {
				x.State = "being claimed"
			}
			l.Items = append(l.Items, x)
		}
	}
	edge.JSON(w, http.StatusOK, l)
}

// acceptLoss lets a halted lane go on without what it stands still for, in the
// instance that owns it.
func (p *platform) acceptLoss(w http.ResponseWriter, r *http.Request) {
	service := r.PathValue("service")
	lane, err := strconv.ParseInt(r.PathValue("lane"), 10, 32)
	if _, ok := p.topology.Service(service); !ok || err != nil || lane < 0 || lane >= int64(p.Config.Partitions) {
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "there is no such lane: weir lane ls shows those of a process"}).Write(w)
		return
	}
	ctx, cancel := context.WithTimeout(forwardedContext(r), 5*time.Second)
	defer cancel()
	err = streams.ErrNotOwned
	if i := p.instances[service]; i != nil {
		err = i.AcceptLoss(ctx, int32(lane))
	}
	if errors.Is(err, streams.ErrNotOwned) && p.broker == nil {
		var done struct{}
		err = p.ask(ctx, service, http.MethodPost, r.URL.EscapedPath(), &done)
	}
	switch {
	case errors.Is(err, streams.ErrNotOwned):
		(&edge.Problem{Code: notOwned, Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	case err != nil:
		(&edge.Problem{Code: "not-possible", Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	default:
		edge.JSON(w, http.StatusOK, struct{}{})
	}
}

// StoreState is a service's event store, and which one the platform knows as it.
type StoreState struct {
	Service string `json:"service"`
	Store   string `json:"store"`           // its incarnation
	Known   string `json:"known,omitempty"` // that of the control topic; empty if the service never started
	Behind  bool   `json:"behind"`          // it has handed out fewer sequences than the platform knows of
}

// Stores looks at the event stores of services that do not run, or of one.
func Stores(ctx context.Context, o Options, service string) (out []StoreState, err error) {
	err = withStores(ctx, o, service, func(p *platform, name string, s streams.Store) error {
		info, err := s.Info(ctx, 0)
		if err != nil {
			return err
		}
		x := StoreState{Service: name, Store: info.Incarnation}
		if x.Known, _, err = streams.StoreOf(ctx, p.kafka, name); err == nil {
			x.Behind, err = p.behindControl(ctx, name, s, info.Partitions)
		}
		out = append(out, x)
		return err
	})
	return out, err
}

// behindControl tells whether lanes of a store have come further once.
func (p *platform) behindControl(ctx context.Context, service string, s streams.Store, lanes int32) (bool, error) {
	known, err := streams.Control(ctx, p.kafka, service, lanes)
	if err != nil {
		return false, err
	}
	for lane, last := range known {
		c, err := s.Cursor(ctx, lane)
		if err != nil {
			return false, err
		}
		if last > c.LastSeq {
			return true, nil
		}
	}
	return false, nil
}

// AcceptStore makes the event store that is there the one that the platform knows
// as the service's.
func AcceptStore(ctx context.Context, o Options, service string) (out StoreState, err error) {
	return changeStore(ctx, o, service, func(s streams.Store) (streams.StoreInfo, error) { return s.Info(ctx, 0) })
}

// RenewStore lets an event store whose newest commits are lost for good go on, under
// another incarnation.
func RenewStore(ctx context.Context, o Options, service string) (out StoreState, err error) {
	return changeStore(ctx, o, service, func(s streams.Store) (streams.StoreInfo, error) {
		r, ok := s.(streams.Renewer)
		if !ok {
			return streams.StoreInfo{}, fmt.Errorf("the event store of %s cannot be renewed", service)
		}
		return r.Renew(ctx)
	})
}

// isThere refuses a service without an event store: opening would make one.
func (p *platform) isThere(service string) error {
	if p.Config.Postgres.URL != "" {
		return nil
	}
	if _, err := os.Stat(p.path(service + ".db")); err != nil {
		return fmt.Errorf("there is no event store of %s: %w. Start the service once, or name the directory of its weir dev with --data", service, err)
	}
	return nil
}

func changeStore(ctx context.Context, o Options, service string, change func(streams.Store) (streams.StoreInfo, error)) (out StoreState, err error) {
	err = withStores(ctx, o, service, func(p *platform, name string, s streams.Store) error {
		info, err := change(s)
		if err != nil {
			return err
		}
		out = StoreState{Service: name, Store: info.Incarnation, Known: info.Incarnation}
		return streams.AcceptStore(ctx, p.kafka, name, info)
	})
	return out, err
}

// withStores opens the log and event stores, without anything that would work on
// them.
func withStores(ctx context.Context, o Options, service string, f func(*platform, string, streams.Store) error) error {
	o.Kafka = "127.0.0.1:0" // nobody else is to come to an embedded log
	o.defaults()
	p := &platform{Options: o, stores: map[string]streams.Store{}, metrics: prometheus.NewRegistry()} // which nobody reads
	defer p.stop()
	var err error
	if p.topology, err = o.Business.Topology(); err != nil {
		return err
	}
	if _, ok := p.topology.Service(service); service != "" && !ok {
		return fmt.Errorf("there is no service %q", service)
	}
	if len(p.Config.Kafka.Brokers) == 0 {
		if _, err := os.Stat(p.path("log")); err != nil {
			return fmt.Errorf("there is no log in %q: %w. Name the directory of a weir dev with --data, or a configuration with Kafka's brokers", p.Config.Data, err)
		}
	}
	if err := errors.Join(p.startKafka(ctx), p.startPostgres(ctx)); err != nil {
		return err
	}
	for _, s := range p.topology.Services {
		if service != "" && s.Name != service {
			continue
		}
		if err := p.isThere(s.Name); err != nil {
			return err
		}
		store, err := p.openStore(ctx, s.Name)
		if err != nil {
			return err
		}
		p.closeAtEnd("event store of "+s.Name, store.Close)
		if err := f(p, s.Name, store); err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
	}
	return nil
}
