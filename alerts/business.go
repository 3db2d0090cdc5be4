package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// Owners, who are called.
const (
	checkout = "checkout" // orders, from the click to the door
	platform = "platform" // the runtime and its servers
)

// Business is what this business promises, and watches.
func Business(t *streams.Topology, all []streams.Saga, p Policy) *Set {
	s := &Set{Policy: p, Runbooks: DefaultRunbooks}
	requests, confirmed := entrance(), confirmation()
	s.SLOs = append(s.SLOs, requests...)
	s.SLOs = append(s.SLOs, confirmed)
	var inTime *SLO
	for _, saga := range all {
		of := ofSaga(saga)
		s.SLOs = append(s.SLOs, of...)
		if saga.Name == shop.PlaceOrder.Name {
			inTime = of[0]
		}
	}
	for _, service := range t.Services {
		s.SLOs = append(s.SLOs, ofService(t, service)...)
	}
	s.SLOs = append(s.SLOs, readModel())
	s.SLOs = append(s.SLOs, outside(t)...)
	s.SLOs = append(s.SLOs, synthetic())
	if inTime != nil {
		s.SLOs = append(s.SLOs, buying(requests[0], confirmed, inTime))
	}
	units := []string{gatewayUnit, streams.ProjectionUnit, proberUnit}
	for _, service := range t.Services {
		units = append(units, service.Name)
	}
	s.Alerts = slices.Concat(symptoms(p, units), causes(p))
	return s
}

// Of clients, and not of the prober, which would hide the failures of a few.
const (
	client = `caller="` + telemetry.Client + `"`
	asked  = `route=~"/v1/(orders|events).*",` + client // what clients wait for
	orders = `route=~"/v1/orders.*",` + client
	posted = `route="/v1/events",method="POST",` + client
)

func entrance() []*SLO {
	const like = `route="/v1/orders",method="POST",caller="client"`
	return []*SLO{
		{Service: "gateway", Name: "availability", Alert: "GatewayAvailabilityBurn", Owner: checkout, Objective: 99.95, MinBad: 5,
			Description: "Requests of clients for orders and events that get an answer which is not the platform's own failure (5xx).",
			SLI: Ratio(Availability, []Events{{telemetry.Requests, matchers(asked, `status=~"5.."`), matchers(like, `status="503"`)}},
				Events{telemetry.Requests, "", matchers(like, `status="201"`)}, Events{telemetry.Requests, asked, ""})},
		{Service: "gateway", Name: "latency", Alert: "GatewayLatencyBurn", Owner: checkout, Objective: 99, MinBad: 10,
			Description: "Requests of clients for orders that are answered within 100 ms, what a request waits for its client not counted.",
			SLI:         Within(telemetry.RequestSeconds, 100*time.Millisecond, orders, like)},
		{Service: "gateway", Name: "ingestion", Alert: "IngestionLatencyBurn", Owner: platform, Objective: 99, MinBad: 10, NoPage: true,
			Description: "Requests with events, up to a thousand each, that are answered within a second.",
			SLI:         Within(telemetry.RequestSeconds, time.Second, posted, posted)},
	}
}

const placeOrder = `saga="place-order"`

// confirmation is what the customer waits for after the click.
func confirmation() *SLO {
	return &SLO{Service: "order", Name: "confirmation", Alert: "ConfirmationLatencyBurn", Owner: checkout, Objective: 99, MinBad: 10,
		Description: "Orders whose customer knows within a second how it goes: confirmed, with stock claimed and payment authorised, or cancelled.",
		SLI:         Promptly(Events{telemetry.SagasStarted, placeOrder, placeOrder}, telemetry.SagaAnswer, time.Second, placeOrder)}
}

// ofSaga: the objective over time comes first.
func ofSaga(s streams.Saga) []*SLO {
	saga := label("saga", s.Name)
	return []*SLO{
		{Service: s.Name, Name: "in-time", Alert: "SagaOverdueBurn", Owner: checkout, Objective: 99.9, MinBad: 3,
			Description: fmt.Sprintf("Sagas that come to an end, whichever, within %s.", s.Within),
			SLI: Ratio(InTime, []Events{{telemetry.SagasOverdue, saga, saga}},
				Events{telemetry.SagasEnded, matchers(saga, `in_time="true"`), matchers(saga, `compensated="false",in_time="true"`)})},
		{Service: s.Name, Name: "compensation", Alert: "CompensationBurn", Owner: checkout, Objective: 95, MinBad: 10, NoPage: true,
			Description: "Sagas that end without taking anything back: customers who get what they ordered.",
			SLI: Ratio(Compensation, []Events{{telemetry.SagasEnded, matchers(saga, `compensated="true"`), matchers(saga, `compensated="true",in_time="true"`)}},
				Events{telemetry.SagasEnded, matchers(saga, `compensated="false"`), matchers(saga, `compensated="false",in_time="true"`)})},
	}
}

// behindBound is how long a record may wait before its reader counts as stale, in
// seconds. The cursors that it is seen by are mirrored every two seconds.
const behindBound = 30

func ofService(t *streams.Topology, s streams.Service) []*SLO {
	service := label("service", s.Name)
	like := func(result string) string {
		return matchers(service, label("decider", s.Deciders[0].Name), `kind="event",input="example"`, label("result", result))
	}
	out := []*SLO{
		{Service: s.Name, Name: "availability", Alert: "ServiceAvailabilityBurn", Owner: platform, Objective: 99.95, MinBad: 3,
			NoPage: true, Description: "Inputs of the service that are decided, and not parked behind a failure.",
			SLI: Ratio(Availability, []Events{{telemetry.Inputs, matchers(service, `result="parked"`), like("parked")}}, Events{telemetry.Inputs, "", like("decided")},
				Events{telemetry.Inputs, service, ""})},
		{Service: s.Name, Name: "latency", Alert: "ServiceLatencyBurn", Owner: platform, Objective: 99, MinBad: 10, NoPage: true,
			Description: "Inputs of the service whose effect is stored within a second of the event; of one from outside, of when it was taken.",
			SLI:         Within(telemetry.InputAge, time.Second, service, matchers(service, label("decider", s.Deciders[0].Name)))},
		{Service: s.Name, Name: "freshness", Alert: "ServiceFreshnessBurn", Owner: platform, Objective: 99, MinBad: 3, NoPage: true,
			Description: fmt.Sprintf("Time in which no record waits longer than %d s for the service, as seen from the ends of the log, and not by the service itself.", behindBound),
			SLI:         Below(Freshness, telemetry.BehindSeconds, behindBound, service, service)},
	}
	if flows := flows(t, s); len(flows) > 0 {
		out = append(out, &SLO{Service: s.Name, Name: "completeness", Alert: "CompletenessBurn", Owner: platform, Objective: 99, MinBad: 10, NoPage: true,
			Description: "Events for the service that are processed, parked or rejected, of all that were accepted: none may be missing.",
			SLI:         Balance(flows...)})
	}
	return out
}

// readModel is what every page and every question of a customer is answered from.
func readModel() *SLO {
	of := label("service", streams.ProjectionUnit)
	return &SLO{Service: "read-model", Name: "freshness", Alert: "ReadModelFreshnessBurn", Owner: platform, Objective: 99, MinBad: 3, NoPage: true,
		Description: fmt.Sprintf("Time in which no record waits longer than %d s for the read model, as seen from the ends of the log and the cursors in its store.", behindBound),
		SLI:         Below(Freshness, telemetry.BehindSeconds, behindBound, of, of)}
}

// flows are the events that a service is to take, and those that it took: of each
// decider, those of our own and those from outside.
func flows(t *streams.Topology, s streams.Service) (out []Flow) {
	for _, d := range s.Deciders {
		var own, external []string
		for _, r := range t.Reactions(d) {
			if r.Kind != streams.EventInput {
				continue
			}
			if f, ok := t.Vocabulary.Fact(r.Input); ok && f.External {
				external = append(external, r.Input)
			} else {
				own = append(own, r.Input)
			}
		}
		if len(own) > 0 {
			out = append(out, Flow{Events{telemetry.Emitted, oneOf("type", own), matchers(`service="example"`, label("type", own[0]))}, taken(d.Name, own)})
		}
		if len(external) > 0 {
			out = append(out, Flow{Events{telemetry.Ingested, matchers(`result="accepted"`, oneOf("type", external)),
				matchers(`result="accepted"`, label("type", external[0]))}, taken(d.Name, external)})
		}
	}
	return out
}

// taken are events that a decider has dealt with, be it by parking them: a retry is
// one of those again.
func taken(decider string, types []string) Events {
	of := matchers(label("decider", decider), `kind="event"`)
	return Events{telemetry.Inputs, matchers(of, oneOf("input", types), `result!="retried"`), matchers(of, label("input", types[0]), `result="decided"`)}
}

func oneOf(name string, values []string) string {
	return name + `=~"` + strings.Join(values, "|") + `"`
}

// outside are the calls that others must answer.
func outside(t *streams.Topology) (out []*SLO) {
	var names []string
	for _, f := range t.Flows() {
		if _, _, inside := t.Decider(f.To); !inside && !slices.Contains(names, f.To) {
			names = append(names, f.To)
		}
	}
	for _, n := range names {
		endpoint := label("endpoint", n)
		like := func(result string) string { return matchers(endpoint, `effect="example"`, label("result", result)) }
		out = append(out, &SLO{Service: n, Name: "answers", Alert: "OutsideCallsBurn", Owner: checkout, Objective: 99, MinBad: 5, NoPage: true, Labels: map[string]string{"endpoint": n},
			Description: "Calls of the " + n + " that get a definite answer, be it a refusal. Those that an open breaker holds back get none.",
			SLI: Ratio(Availability, []Events{{telemetry.EffectSeconds, matchers(endpoint, `result=~"in-doubt|unusable"`), like("in-doubt")}, {telemetry.HeldBack, endpoint, ""}},
				Events{telemetry.EffectSeconds, "", like("answered")}, Events{telemetry.EffectSeconds, endpoint, ""}, Events{telemetry.HeldBack, endpoint, ""})})
	}
	return out
}

// Units beside the services. deploy/platform has them by these names.
const (
	gatewayUnit = "gateway"
	proberUnit  = "prober"
)

// synthetic is the order a minute that shows whether orders work while nobody
// buys anything.
func synthetic() *SLO {
	return &SLO{Service: "synthetic", Name: "orders", Alert: "SyntheticOrdersBurn", Owner: checkout, Objective: 99, MinBad: 2,
		Description: "Orders that the prober places through the interface, one a minute, and that are confirmed within their time.",
		SLI: Ratio(Availability, []Events{{telemetry.SyntheticOrders, `result!="confirmed"`, `result="unanswered"`}},
			Events{telemetry.SyntheticOrders, "", `result="confirmed"`}, Events{telemetry.SyntheticOrders, "", ""})}
}

// buying is the whole way of a customer, by what each part of it is worth.
func buying(requests, confirmed, inTime *SLO) *SLO {
	return &SLO{Service: "journey", Name: "buying", Alert: "BuyingJourneyBurn", Owner: checkout, Objective: 99,
		Description: "A customer's way from the click to the end of the order: answered, confirmed at once, closed in time.",
		SLI:         Steps(Part{requests, .3}, Part{confirmed, .3}, Part{inTime, .4})}
}
