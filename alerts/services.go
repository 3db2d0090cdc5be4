package alerts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// behindBound is how long a record may wait before its reader counts as stale, in
// seconds. The cursors that it is seen by are mirrored every two seconds.
const behindBound = 30

// service is what the platform promises of every service. One that reads no events is
// never behind, and lacks none; one that decides nothing promises nothing.
func (f *fold) service(name string) (out []*SLO) {
	service := label("service", name)
	if all := f.reactions(name); len(all) > 0 {
		result := func(r string) string { return all[0].taken(r) }
		out = append(out,
			&SLO{Service: name, Name: "availability", Alert: "ServiceAvailabilityBurn", Owner: platform, Objective: 99.95,
				MinBad: 3,
				NoPage: true, Description: "Inputs of the service that are decided, and not parked behind a failure.",
				SLI: Ratio(Availability, []Events{{telemetry.Inputs, matchers(service, `result="parked"`), result("parked")}},
					Events{telemetry.Inputs, "", result("decided")},
					Events{telemetry.Inputs, service, ""})},
			&SLO{Service: name, Name: "latency", Alert: "ServiceLatencyBurn", Owner: platform, Objective: 99, MinBad: 10,
				NoPage: true,
				Description: "Inputs of the service whose effect is stored within a second of the event; of one from outside, " +
					"of when it was taken.",
				SLI: Within(telemetry.InputAge, time.Second, service, matchers(service, label("decider", all[0].decider)))})
	}
	flows := f.flows(name)
	if len(flows) == 0 {
		return out
	}
	return append(out,
		&SLO{Service: name, Name: "freshness", Alert: "ServiceFreshnessBurn", Owner: platform, Objective: 99, MinBad: 3,
			NoPage: true,
			Description: fmt.Sprintf("Time in which no record waits longer than %d s for the service, as seen from the "+
				"ends of the log, and not by the service itself.", behindBound),
			SLI: Below(Freshness, telemetry.BehindSeconds, behindBound, service, service)},
		&SLO{Service: name, Name: "completeness", Alert: "CompletenessBurn", Owner: platform, Objective: 99, MinBad: 10,
			NoPage: true,
			Description: "Events for the service that are processed, parked or rejected, of all that were accepted: none " +
				"may be missing.",
			SLI: Balance(flows...)})
}

// reactions are those of a service's deciders.
func (f *fold) reactions(service string) (out []reaction) {
	s, ok := f.t.Service(service)
	if !ok {
		return nil
	}
	for _, d := range s.Deciders {
		for _, r := range f.t.Reactions(d) {
			out = append(out, reaction{service, d.Name, r})
		}
	}
	return out
}

type reaction struct {
	service, decider string
	streams.Reaction
}

// taken are the labels of its inputs with a result.
func (r reaction) taken(result string) string {
	return matchers(label("service", r.service), label("decider", r.decider), label("kind", string(r.Kind)),
		label("input", r.Input), label("result", result))
}

// readModel is what every page and every question of a customer is answered from.
func readModel() *SLO {
	of := label("service", streams.ProjectionUnit)
	return &SLO{Service: "read-model", Name: "freshness", Alert: "ReadModelFreshnessBurn", Owner: platform,
		Objective: 99, MinBad: 3, NoPage: true,
		Description: fmt.Sprintf("Time in which no record waits longer than %d s for the read model, as seen from the "+
			"ends of the log and the cursors in its store.", behindBound),
		SLI: Below(Freshness, telemetry.BehindSeconds, behindBound, of, of)}
}

// flows are the events that a service is to take, and those that it took: of each
// decider, those of our own and those from outside.
func (f *fold) flows(service string) (out []Flow) {
	var deciders []string
	own, external := map[string][]string{}, map[string][]string{}
	for _, r := range f.reactions(service) {
		if !slices.Contains(deciders, r.decider) {
			deciders = append(deciders, r.decider)
		}
		switch {
		case r.Kind != streams.EventInput:
		case f.external(r.Input):
			external[r.decider] = append(external[r.decider], r.Input)
		default:
			own[r.decider] = append(own[r.decider], r.Input)
		}
	}
	for _, d := range deciders {
		for _, types := range [][]string{own[d], external[d]} {
			if len(types) > 0 {
				out = append(out, Flow{f.happened(types), taken(d, types)})
			}
		}
	}
	return out
}

func (f *fold) external(typ string) bool {
	x, ok := f.t.Vocabulary.Fact(typ)
	return ok && x.External
}

// happened counts events of types that are all of our own, or all from outside.
func (f *fold) happened(types []string) Events {
	if f.external(types[0]) {
		return Events{telemetry.Ingested, matchers(`result="accepted"`, oneOf("type", types)),
			matchers(`result="accepted"`, label("type", types[0]))}
	}
	return Events{telemetry.Emitted, oneOf("type", types),
		matchers(label("service", f.emitter(types[0])), label("type", types[0]))}
}

// emitter is the service that emits an event.
func (f *fold) emitter(typ string) string {
	for _, s := range f.t.Services {
		for _, r := range f.reactions(s.Name) {
			if slices.Contains(r.Emits, typ) {
				return s.Name
			}
		}
	}
	return ""
}

// taken are events that a decider has dealt with, be it by parking them: a retry is
// one of those again.
func taken(decider string, types []string) Events {
	of := matchers(label("decider", decider), `kind="event"`)
	return Events{telemetry.Inputs, matchers(of, oneOf("input", types), `result!="retried"`),
		matchers(of, label("input", types[0]), `result="decided"`)}
}

func oneOf(name string, values []string) string {
	return name + `=~"` + strings.Join(values, "|") + `"`
}

// outside are the calls that others must answer.
func (f *fold) outside() (out []*SLO) {
	for _, s := range f.b.Services {
		for _, e := range s.Endpoints {
			endpoint := label("endpoint", e.Name)
			like := func(result string) string {
				return matchers(endpoint, label("effect", f.effect(s.Name, e.Name)), label("result", result))
			}
			out = append(out, &SLO{Service: e.Name, Name: "answers", Alert: "OutsideCallsBurn", Owner: f.b.OwnerOf(s.Name),
				Objective: 99, MinBad: 5, NoPage: true,
				Labels: map[string]string{"endpoint": e.Name},
				Description: "Calls of the " + e.What + " that get a definite answer, be it a refusal. Those that an open " +
					"breaker holds back get none.",
				SLI: Ratio(Availability, []Events{{telemetry.EffectSeconds, matchers(endpoint, `result=~"in-doubt|unusable"`),
					like("in-doubt")}, {telemetry.HeldBack, endpoint, ""}},
					Events{telemetry.EffectSeconds, "", like("answered")}, Events{telemetry.EffectSeconds, endpoint, ""},
					Events{telemetry.HeldBack, endpoint, ""})})
		}
	}
	return out
}

// effect is one that a service has of an endpoint.
func (f *fold) effect(service, endpoint string) string {
	for _, r := range f.reactions(service) {
		if r.Endpoint == endpoint {
			return r.Input
		}
	}
	return ""
}

// own is an objective that a service has beside those that all have.
func (f *fold) own(s business.Service, o business.Objective) *SLO {
	good, bad := f.counted(o.Good), f.counted(o.Bad)
	if len(good) == 0 || len(bad) == 0 { // the business was not checked
		return &SLO{Service: s.Name, Name: o.Name, Alert: o.Alert}
	}
	out := &SLO{Service: s.Name, Name: o.Name, Alert: o.Alert, Owner: f.b.OwnerOf(s.Name), Description: o.About,
		Objective: o.Percent,
		MinBad:    max(o.AtLeast, 1), NoPage: !o.Pages,
		SLI: Ratio(Outcome, bad, good[0], append(good[:len(good):len(good)], bad...)...)}
	out.runbook = f.runbook(s, o)
	return out
}

// counted are events as counters have them: our own, and those from outside.
func (f *fold) counted(events []streams.Event) (out []Events) {
	var own, external []string
	for _, e := range events {
		switch name := f.t.Name(e); {
		case name == "":
		case f.external(name):
			external = append(external, name)
		default:
			own = append(own, name)
		}
	}
	for _, types := range [][]string{own, external} {
		if len(types) > 0 {
			out = append(out, f.happened(types))
		}
	}
	return out
}

// runbook is what there is to say about a service's own objective without knowing the
// business.
func (f *fold) runbook(s business.Service, o business.Objective) string {
	names := func(events []streams.Event) string {
		var out []string
		for _, e := range events {
			out = append(out, "`"+f.t.Name(e)+"`")
		}
		return strings.Join(out, ", ")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Causes of %s-%s\n\nGood: %s. Bad: %s.\n\n", s.Name, o.Name, names(o.Good), names(o.Bad))
	b.WriteString("- Nothing is broken, and there is more of what is bad, or less of what is good.\n" +
		"- A new version of the service decides otherwise: compare with the time of the deploy.\n")
	for _, e := range s.Endpoints {
		fmt.Fprintf(&b, "- The %s answers otherwise than it did, or not: [OutsideCallsBurn](OutsideCallsBurn.md).\n", e.What)
	}
	b.WriteString("- Inputs are parked, and what would be good waits behind them: [InputsParked](InputsParked.md).\n")
	fmt.Fprintf(&b, "\n## Cure of %s-%s\n\n", s.Name, o.Name)
	fmt.Fprintf(&b, "1. \"Events\" on the %s board shows which of them rose or fell, and when.\n", s.Name)
	fmt.Fprintf(&b, "2. `weir dlq ls` says whether something is parked.\n3. Tell %s: it is their promise.\n",
		f.b.OwnerOf(s.Name))
	return b.String()
}
