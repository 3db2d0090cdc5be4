package platform

import (
	"context"
	"errors"
	"net/http"

	"github.com/weirstream/weir/deploy/platform/practice"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// startFaults offers faults where all is embedded: what is shared with others
// is not broken for practice.
func (p *platform) startFaults(context.Context) (err error) {
	if p.broker == nil || !p.units.all {
		return nil
	}
	p.faults, err = practice.New(practice.Platform{Business: p.Business, Topology: p.topology, Kafka: p.kafka, Partitions: p.Config.Partitions, HTTP: p.Config.HTTP,
		PerSecond: p.Config.Quota.PerSecond, Alerts: p.promises.set.Names(), Customers: p.Rate > 0, Simulated: p.outside.simulated, Log: p.Log,
		Drop: func(ctx context.Context, service string, key streams.StreamID) (int, error) {
			return p.unpark(ctx, service, key, drop)
		},
		Tell: func(gateway bool) {
			if gateway {
				p.runs.WithLabelValues(GatewayUnit).Set(1)
			} else {
				p.runs.DeleteLabelValues(GatewayUnit)
			}
		}}, telemetry.NewInstruments(p.metrics))
	return err
}

// startCustomers has customers come, if any are asked for.
func (p *platform) startCustomers(ctx context.Context) error {
	p.customers = func() {}
	if p.Rate <= 0 || p.Business.Customer == nil {
		return nil
	}
	c := &practice.Customers{Business: p.Business, HTTP: p.Config.HTTP, Rate: p.Rate, Faults: p.faults, Log: p.Log}
	p.background(ctx, "customers", c.Run)
	p.customers = p.wait[len(p.wait)-1]
	return nil
}

// Faults answers GET /v1/faults.
type Faults struct {
	Faults []practice.Fault `json:"faults"`
}

func (p *platform) listFaults(w http.ResponseWriter, _ *http.Request) {
	if p.faults == nil {
		noFaults(w)
		return
	}
	edge.JSON(w, http.StatusOK, Faults{p.faults.List()})
}

func (p *platform) turnFault(w http.ResponseWriter, r *http.Request) {
	name, verb := r.PathValue("name"), r.PathValue("verb")
	if p.faults == nil {
		noFaults(w)
		return
	}
	if verb != "on" && verb != "off" {
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "a fault is switched on or off"}).Write(w)
		return
	}
	switch err := p.faults.Turn(r.Context(), name, verb == "on"); {
	case errors.Is(err, practice.ErrNoFault):
		(&edge.Problem{Code: "no-fault", Status: http.StatusNotFound, Detail: err.Error()}).Write(w)
	case err != nil:
		(&edge.Problem{Code: "fault", Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	default:
		p.listFaults(w, r)
	}
}

func noFaults(w http.ResponseWriter) {
	(&edge.Problem{Code: "no-faults", Status: http.StatusNotFound, Detail: "faults are for practice, in weir dev: this platform uses real servers"}).Write(w)
}
