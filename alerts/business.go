package alerts

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// platform is who is called about the runtime and its servers.
const platform = "platform"

// Business is what a business promises, and what is watched of it: business.go and
// services.go have its objectives, symptoms.go and causes.go the alerts beside them.
// They alone of this package know what a business is.
func Business(b *business.Business, t *streams.Topology, p Policy) *Set {
	f := &fold{b, t, p}
	s := &Set{Policy: p, Runbooks: DefaultRunbooks}
	requests := f.entrance()
	s.SLOs = append(s.SLOs, requests...)
	for _, saga := range b.Sagas {
		s.SLOs = append(s.SLOs, f.saga(saga)...)
	}
	for _, service := range b.Services {
		s.SLOs = append(s.SLOs, f.service(service.Name)...)
		for _, o := range service.Objectives {
			s.SLOs = append(s.SLOs, f.own(service, o))
		}
	}
	s.SLOs = append(s.SLOs, readModel())
	s.SLOs = append(s.SLOs, f.outside()...)
	if b.Customer != nil {
		s.SLOs = append(s.SLOs, f.probes())
		if journey := f.journey(s.SLOs); journey != nil {
			s.SLOs = append(s.SLOs, journey)
		}
	}
	s.Alerts = slices.Concat(f.symptoms(), f.causes())
	return s
}

// fold is a business that is told as objectives and alerts.
type fold struct {
	b *business.Business
	t *streams.Topology
	p Policy
}

// client tells clients from the prober, which would hide the failures of a few.
const client = `caller="` + telemetry.Client + `"`

// eventsPath is ingestion's.
const eventsPath = "/v1/events"

// door is where clients come in.
type door struct {
	path, method string
	status       int
}

func (d door) labels() string {
	return matchers(label("route", d.path), label("method", d.method))
}

// doors are those of the business, its commands first.
func (f *fold) doors() (out []door) {
	for _, c := range f.b.Commands() {
		status := c.Success
		if status == 0 {
			status = http.StatusOK
		}
		out = append(out, door{c.Path, c.Verb(), status})
	}
	for _, v := range f.b.Views() {
		out = append(out, door{v.Path, http.MethodGet, http.StatusOK})
	}
	return out
}

// posts tells whether events come from outside.
func (f *fold) posts() bool {
	return slices.ContainsFunc(f.t.Vocabulary.Facts(), func(x streams.Fact) bool { return x.External })
}

// entrances are the doors, and that of events.
func (f *fold) entrances() []door {
	out := f.doors()
	if f.posts() {
		out = append(out, door{eventsPath, http.MethodPost, http.StatusAccepted})
	}
	return out
}

// main is the door that examples go through; where a business has none, one of the platform's.
func (f *fold) main() door {
	return append(f.entrances(), door{"/v1/sagas", http.MethodGet, http.StatusOK})[0]
}

// Doors match the routes of commands and views, whoever asks; empty if there are none.
func Doors(b *business.Business) string {
	doors := (&fold{b: b}).doors()
	if len(doors) == 0 {
		return ""
	}
	return routes(doors)
}

// routes match what clients ask for through doors, and nothing of the platform's own:
// all below the part of each path that names no field.
func routes(doors []door) string {
	var roots []string
	for _, d := range doors {
		root, _, _ := strings.Cut(d.path, "/{")
		if strings.Count(root, "/") < 2 { // below it is everything
			root = d.path
		}
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	return fmt.Sprintf(`route=~"(%s)(/.*)?"`, strings.Join(roots, "|"))
}

// entrance is what clients are promised; the first of all is that they get an answer.
func (f *fold) entrance() (out []*SLO) {
	all, doors := f.entrances(), f.doors()
	if len(all) == 0 {
		return nil
	}
	asked, like := matchers(routes(all), client), matchers(all[0].labels(), client)
	status := func(code int) string { return matchers(like, label("status", fmt.Sprint(code))) }
	out = append(out, &SLO{Service: "gateway", Name: "availability", Alert: "GatewayAvailabilityBurn", Owner: f.b.Owner,
		Objective: 99.95, MinBad: 5,
		Description: "Requests of clients for what the business offers that get an answer which is not the platform's " +
			"own failure (5xx).",
		SLI: Ratio(Availability, []Events{{telemetry.Requests, matchers(asked, `status=~"5.."`),
			status(http.StatusServiceUnavailable)}},
			Events{telemetry.Requests, "", status(all[0].status)}, Events{telemetry.Requests, asked, ""})})
	if len(doors) > 0 {
		out = append(out, &SLO{Service: "gateway", Name: "latency", Alert: "GatewayLatencyBurn", Owner: f.b.Owner,
			Objective: 99, MinBad: 10,
			Description: "Commands and questions of clients that are answered within 100 ms, what a request waits for its " +
				"client not counted.",
			SLI: Within(telemetry.RequestSeconds, 100*time.Millisecond, matchers(routes(doors), client), like)})
	}
	if f.posts() {
		posted := matchers(label("route", eventsPath), label("method", http.MethodPost), client)
		out = append(out, &SLO{Service: "gateway", Name: "ingestion", Alert: "IngestionLatencyBurn", Owner: platform,
			Objective: 99, MinBad: 10, NoPage: true,
			Description: "Requests with events, up to a thousand each, that are answered within a second.",
			SLI:         Within(telemetry.RequestSeconds, time.Second, posted, posted)})
	}
	return out
}

// saga is what is promised of a saga: an answer if somebody waits for one, an end in time,
// and, where something can be taken back, that mostly nothing is.
func (f *fold) saga(s streams.Saga) (out []*SLO) {
	saga := label("saga", s.Name)
	if s.AnswerWithin > 0 {
		out = append(out, &SLO{Service: s.Name, Name: answerName, Alert: "SagaAnswerBurn", Owner: f.b.Owner, Objective: 99,
			MinBad: 10,
			Description: fmt.Sprintf("Sagas whose customer knows within %s how it goes, whether it goes on or is taken back.",
				span(s.AnswerWithin)),
			SLI: Promptly(Events{telemetry.SagasStarted, saga, saga}, telemetry.SagaAnswer, s.AnswerWithin, saga)})
	}
	out = append(out, &SLO{Service: s.Name, Name: inTimeName, Alert: "SagaOverdueBurn", Owner: f.b.Owner,
		Objective: 99.9, MinBad: 3,
		Description: fmt.Sprintf("Sagas that come to an end, whichever, within %s.", span(s.Within)),
		SLI: Ratio(InTime, []Events{{telemetry.SagasOverdue, saga, saga}},
			Events{telemetry.SagasEnded, matchers(saga, `in_time="true"`),
				matchers(saga, `compensated="false",in_time="true"`)})})
	if len(s.Undo) > 0 {
		out = append(out, &SLO{Service: s.Name, Name: "compensation", Alert: "CompensationBurn", Owner: f.b.Owner,
			Objective: 95, MinBad: 10, NoPage: true,
			Description: "Sagas that end without taking anything back.",
			SLI: Ratio(Compensation, []Events{{telemetry.SagasEnded, matchers(saga, `compensated="true"`),
				matchers(saga, `compensated="true",in_time="true"`)}},
				Events{telemetry.SagasEnded, matchers(saga, `compensated="false"`),
					matchers(saga, `compensated="false",in_time="true"`)})})
	}
	return out
}

// Names of objectives of every saga.
const answerName, inTimeName = "answer", "in-time"

// Units beside the services. deploy/platform has them by these names.
const (
	gatewayUnit = "gateway"
	proberUnit  = "prober"
)

// probed is how a visit of the prober ends well.
const probed = "done"

// probes are what shows whether the business works while nobody comes.
func (f *fold) probes() *SLO {
	return &SLO{Service: proberUnit, Name: "visits", Alert: "ProbesBurn", Owner: f.b.Owner, Objective: 99, MinBad: 2,
		Description: "Visits of the prober, which does what a customer does, once a minute, that are answered in time " +
			"by what is not taken back.",
		SLI: Ratio(Availability, []Events{{telemetry.Probes, `result!="` + probed + `"`, `result="unanswered"`}},
			Events{telemetry.Probes, "", label("result", probed)}, Events{telemetry.Probes, "", ""})}
}

// journey is the whole way of a customer through the saga that customers begin, by what
// each part of it is worth.
func (f *fold) journey(slos []*SLO) *SLO {
	find := func(id string) *SLO {
		if i := slices.IndexFunc(slos, func(o *SLO) bool { return o.ID() == id }); i >= 0 {
			return slos[i]
		}
		return nil
	}
	begins := f.b.Customer.Begins
	door, answer, end := find("gateway-availability"), find(begins+"-"+answerName), find(begins+"-"+inTimeName)
	if door == nil || end == nil {
		return nil
	}
	way, parts := "answered and closed in time", []Part{{door, .4}, {end, .6}}
	if answer != nil {
		way, parts = "answered, told at once how it goes, closed in time", []Part{{door, .3}, {answer, .3}, {end, .4}}
	}
	return &SLO{Service: "journey", Name: begins, Alert: "CustomerJourneyBurn", Owner: f.b.Owner, Objective: 99,
		Description: "A customer's way from the first request to the end of the saga: " + way + ".", SLI: Steps(parts...)}
}
