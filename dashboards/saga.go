package dashboards

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// saga is the board of one saga.
func saga(b Business, s streams.Saga, l limits) draft {
	of := is("saga", s.Name)
	d := draft{uid: SagaUID(s.Name), title: "Weir: saga " + s.Name, tags: []string{"saga"},
		alerts:    []string{is("service", s.Name), of},
		help:      "How far sagas come, how long their steps take, what is taken back, and what money they move.",
		variables: []dashboard.VariableModel{b.live()},
		links:     []dashboard.DashboardLink{link("Overview", "/d/"+OverviewUID, "All services"), outside("Sagas, one by one", "${live}/sagas", "Every saga on the live page, with its events, traces and spans")}}
	for _, svc := range servicesOf(b, s) {
		d.links = append(d.links, link("Service "+svc, "/d/"+ServiceUID(svc), "A service that takes part"))
	}
	happens, undone := sagaEvents(b.Topology, s)
	far := funnel("How far they come", "Events of the saga in their declared order, in the time shown: where bars get short, sagas wait or were refused.", of, happens)
	hurts := []*panel{far, ends(of).size(12, far.h)}
	if len(undone) > 0 {
		hurts = []*panel{far, ends(of).size(12, far.h/2), takenBack(of).size(12, far.h-far.h/2)}
	}
	d.rows = []row{
		{title: "Is it well?", panels: sagaWell(s, l, of)},
		{title: "Where does it hurt?", panels: hurts},
		{title: "How long it takes", panels: sagaTimes(s, of, b.Topology)},
	}
	if len(undone) > 0 {
		d.rows = append(d.rows, row{title: "What is taken back", panels: []*panel{
			funnel("Compensations", "Events that take back what a step did, in the time shown. None is best; many of one "+
				"kind: see who refuses.", of, undone),
			steps(b.Topology, "Time to take back",
				"From what a service reacted to, to the event that takes back, 95 % of them.", of, true, s)}})
	}
	if money := movedIn(b.Topology, b.Business.Money, s); len(money) > 0 {
		d.rows = append(d.rows, row{title: "Money", panels: amounts(money)})
	}
	burns := burnStates(selector(alerts.CurrentBurn, []string{is("sloth_service", s.Name)}), "{{sloth_slo}}",
		l).size(24, 6)
	d.rows = append(d.rows, row{title: "Burn rates", folded: true, panels: []*panel{burns}})
	return d
}

// servicesOf are the services that perform a saga's steps.
func servicesOf(b Business, s streams.Saga) (out []string) {
	for _, svc := range b.Topology.Services {
		if slices.Contains(sagasOf(b, svc), s.Name) {
			out = append(out, svc.Name)
		}
	}
	return out
}

// sagaEvents are the public events of a saga, in the order in which its steps
// declare them; those that only steps back emit apart. Private ones are seen by
// nobody but their service.
func sagaEvents(t *streams.Topology, s streams.Saga) (happens, undone []string) {
	add := func(to []string, e string) []string {
		f, ok := t.Vocabulary.Fact(e)
		if !ok || f.Private || slices.Contains(happens, e) || slices.Contains(undone, e) {
			return to
		}
		return append(to, e)
	}
	for _, undo := range []bool{false, true} {
		for _, st := range s.Steps(t) {
			for _, e := range st.Emits {
				if undo && st.Undo {
					undone = add(undone, e)
				} else if !undo && !st.Undo {
					happens = add(happens, e)
				}
			}
		}
	}
	return happens, undone
}

func sagaWell(s streams.Saga, l limits, of string) []*panel {
	own := is("sloth_service", s.Name)
	return []*panel{
		number("Budgets left", "percentunit",
			"What is left of the error budgets of the saga: an answer and an end in time, and nothing taken back.").size(9, 4).
			query(left(selector(alerts.BudgetRemaining, []string{own})), "{{sloth_slo}}").budget().worded(muchLess()).
			leads("Objective", "/d/"+ObjectivesUID+"?var-slo=${__field.labels.sloth_id}&${__url_time_range}"),
		number("Under way", "none", "Sagas that have begun and not ended.").unmarked(volume).size(3, 4).
			query(most("", telemetry.SagasRunning, of), "running").steps(blue).spark(),
		number("Late", "none", "Sagas beyond their declared time. Above 0: they will not end by themselves, the live "+
			"page says what each waits for.").size(3, 4).
			query(most("", telemetry.SagasLate, of), "late").steps(green, step{1, red}).leads("Stuck sagas", "${live}/sagas?state=stuck"),
		number("Oldest", "s", "Age of the oldest saga under way. Red: beyond its declared time.").size(3, 4).
			query(most("", telemetry.SagaOldest, of), "oldest").steps(green, step{s.Within.Seconds(), red}).spark(),
		number("Effects twice", "none", "Events that may happen once in a saga and happened again. Above 0 is a fault "+
			"of the platform: somebody may have paid twice.").size(3, 4).
			query(orNone(during("", telemetry.DuplicateEffects, of), selector(followed, []string{of})), "twice").steps(green, step{1, red}),
		lag(l).size(3, 4),
	}
}

// funnel is one bar per event.
func funnel(title, help, of string, events []string) *panel {
	p := bars(title, counted, help, len(events)).unmarked(volume).steps(blue).whole()
	for _, e := range events {
		p.query(orNone(during("", telemetry.SagaEventSeconds+"_count", of, is("event", e)), selector(followed, []string{of})), e)
	}
	return p
}

func ends(of string) *panel {
	return graph("Begun and ended", "cps", "Sagas a second. Begun above ended for long: they pile up.").unmarked(volume).
		query(per("", telemetry.SagasStarted, of), "begun").
		query(per("", telemetry.SagasEnded, of, is("in_time", "true")), "ended in time").
		query(per("", telemetry.SagasEnded, of, is("in_time", "false")), "ended late").
		query(per("", telemetry.SagasOverdue, of), "out of time").
		paint("begun", blue, "ended in time", green, "ended late", orange, "out of time", red)
}

func takenBack(of string) *panel {
	return graph("Kept and taken back", "percentunit",
		"Share of the ended sagas in which a step took something back: customers who did not get what they asked "+
			"for.").unmarked(elsewhere).
		query(per("", telemetry.SagasEnded, of, is("compensated", "true"))+" / ("+per("", telemetry.SagasEnded, of)+" > 0)", "taken back").
		may("no saga has been taken back, or none has ended").paint("taken back", orange)
}

func sagaTimes(s streams.Saga, of string, t *streams.Topology) []*panel {
	happens, undone := sagaEvents(t, s)
	events := slices.Concat(happens, undone)
	var ends []string
	for _, e := range s.Ends {
		if f, ok := t.Vocabulary.FactOf(e); ok {
			ends = append(ends, f.Name)
		}
	}
	ended := `event=~"` + strings.Join(ends, "|") + `"`
	return []*panel{
		graph("From start to end", "s", "How long sagas take. The line is the declared time.").size(12, 8).
			quantiles(telemetry.SagaEventSeconds, of, ended).steps(green, step{s.Within.Seconds(), red}),
		heat("Ends", "How the time from start to end spreads: a band that rises is a step that slows down.").unmarked(byColor).buckets(telemetry.SagaEventSeconds, of, ended),
		bars("Time to each event", "s", "From the start to the first event of each type, 95 % of them in the time shown: the widest gap is where the time goes.", len(events)).unmarked(elsewhere).
			query(fmt.Sprintf("sort(topk(%d, %s))", len(events), quantileDuring(0.95, "event", telemetry.SagaEventSeconds, of)), "{{event}}").steps(blue),
		steps(t, "Time of each step", "From what a service reacted to, to the event that came of it, 95 % of them in the time shown. The longest bar is the step to look at.", of, false, s),
	}
}

// mostSteps are as many as are of interest: below them all are short.
const mostSteps = 20

// steps is one bar per step, the longest first.
func steps(t *streams.Topology, title, help, of string, undo bool, s streams.Saga) *panel {
	most := 0
	for _, st := range s.Steps(t) {
		if st.Undo == undo {
			most += len(st.Emits)
		}
	}
	most = min(most, mostSteps)
	times := quantileDuring(0.95, "decider, event", telemetry.SagaStepSeconds, of, is("undo", fmt.Sprint(undo)))
	return bars(title, "s", help, most).unmarked(elsewhere).steps(blue).
		query(fmt.Sprintf("sort_desc(topk(%d, %s))", most, times), "{{decider}} → {{event}}").may("no step of the kind has happened yet")
}
