package business

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/weirstream/weir/streams"
)

// Objective is a promise of a service that the standard ones do not hold: that, of the
// events of some types, a share are good ones. The standard ones (availability,
// latency, freshness, completeness of every service, answers of every endpoint, every
// saga in time) need no declaration.
type Objective struct {
	Name    string // unique within the service: "approvals"
	Alert   string // its alert's name, which its runbook bears too: "ApprovalsBurn"
	About   string
	Percent float64 // of good events, below 100
	Good    []streams.Event
	Bad     []streams.Event
	Pages   bool    // wakes a person; else it waits for the next working day
	AtLeast float64 // bad events that there have to be; 1 if 0
}

// Money is an account of money that events move, measured by currency.
type Money struct {
	Name  string // of the account: "held"
	Title string // "Money held"
	About string // what it means when it rises or falls
	// Into and Out are the events that put money in, and that take out all that the same
	// saga has put in. Without Out it only grows, and is shown by the hour.
	Into []MoneyFrom
	Out  []streams.Event
}

// MoneyFrom is an event with the money that it tells.
type MoneyFrom struct {
	Event streams.Event
	of    func(streams.Event) Sum
}

// From is the money that events of a type tell.
func From[E streams.Event](of func(E) Sum) MoneyFrom {
	var zero E
	return MoneyFrom{zero, func(e streams.Event) Sum { return of(e.(E)) }}
}

// Sum is the money that an event of the type tells.
func (m MoneyFrom) Sum(e streams.Event) Sum { return m.of(e) }

var alertName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

// platformAlerts are those of any business.
var platformAlerts = []string{
	"AnalyticsBehind", "AnalyticsDiffers", "AnalyticsUnproved", "Blind", "BreakerOpen", "ClientsThrottled", "ClockSkew", "CompensationBurn", "CompletenessBurn",
	"CustomerJourneyBurn", "CustomersGone", "DuplicateEffect", "FailuresInARow", "FaultPractised",
	"GatewayAvailabilityBurn", "GatewayLatencyBurn", "HotKey", "IngestionLatencyBurn", "InputsParked",
	"LaneHalted", "OutboxStuck", "OutsideCallsBurn", "ProbesBurn", "ProbesFail", "ProcessDown",
	"ReadModelBehind", "ReadModelFreshnessBurn", "ReadModelUnknown", "RepeatsStorm", "SagaAnswerBurn",
	"SagaOverdueBurn", "SagasLate", "ServiceAvailabilityBurn", "ServiceFreshnessBurn", "ServiceLatencyBurn",
	"SpansLost", "StoreContended", "StoreSlow", "UnitHalted", "UnitMissing", "Watchdog",
}

// ReservedAlert tells whether no objective of a business can have an alert of this name.
func ReservedAlert(name string) bool { return slices.Contains(platformAlerts, name) }

func (b *Business) checkObjectives(t *streams.Topology) (errs []error) {
	seen := map[string]bool{}
	for _, s := range b.Services {
		for _, o := range s.Objectives {
			id := s.Name + "-" + o.Name
			if seen[id] || !alertName.MatchString(o.Alert) || o.About == "" || !(o.Percent > 0 && o.Percent < 100) || len(o.Good) == 0 || len(o.Bad) == 0 {
				errs = append(errs, fmt.Errorf("objective %s needs a name of its own, an alert in CamelCase, what it is about, a share between 0 and 100, and good and bad events", id))
			}
			if !nameRule.MatchString(o.Name) {
				errs = append(errs, fmt.Errorf("an objective of service %q is called %q: use lower case letters, digits and dashes", s.Name, o.Name))
			}
			if ReservedAlert(o.Alert) {
				errs = append(errs, fmt.Errorf("objective %s has the alert %q, which is one of the platform's: call it otherwise", id, o.Alert))
			}
			for _, e := range o.Bad {
				if slices.ContainsFunc(o.Good, func(g streams.Event) bool { return t.Name(g) == t.Name(e) }) {
					errs = append(errs, fmt.Errorf("objective %s calls %T good and bad: it can be one of them", id, e))
				}
			}
			seen[id] = true
			errs = append(errs, registered(t, "objective "+id, append(o.Good[:len(o.Good):len(o.Good)], o.Bad...)...)...)
		}
	}
	return errs
}

// checkMoney wants the events that move money to be emitted in sagas: who measures money
// follows sagas, and would never see others.
func (b *Business) checkMoney(t *streams.Topology) (errs []error) {
	emitted := map[string]bool{}
	for _, s := range b.Sagas {
		for _, st := range s.Steps(t) {
			for _, e := range st.Emits {
				emitted[e] = true
			}
		}
	}
	seen := map[string]bool{}
	for _, m := range b.Money {
		if seen[m.Name] {
			errs = append(errs, fmt.Errorf("money %q is declared twice", m.Name))
		}
		seen[m.Name] = true
		if !nameRule.MatchString(m.Name) || m.Title == "" || len(m.Into) == 0 {
			errs = append(errs, fmt.Errorf("money %q needs a name in lower case, a title, and the events that it comes from", m.Name))
		}
		events := m.Out
		for _, i := range m.Into {
			events = append(events[:len(events):len(events)], i.Event)
		}
		errs = append(errs, registered(t, "money "+m.Name, events...)...)
		for _, e := range events {
			if f, ok := t.Vocabulary.FactOf(e); ok && (f.Private || !emitted[f.Name]) {
				errs = append(errs, fmt.Errorf("money %s is moved by %s, which no saga emits for others to see: it would "+
					"never be counted", m.Name, f.Name))
			}
		}
	}
	return errs
}

// registered reports events that nobody registered.
func registered(t *streams.Topology, who string, events ...streams.Event) (errs []error) {
	for _, e := range events {
		if t.Name(e) == "" {
			errs = append(errs, fmt.Errorf("%s names %T, which is no registered event", who, e))
		}
	}
	return errs
}
