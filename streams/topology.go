package streams

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Topology is everything declared, checked as a whole before any I/O. Topics,
// diagrams, the event catalogue and, later, boards and rules render from it.
type Topology struct {
	Vocabulary *Vocabulary
	Services   []Service
	Pipelines  []Pipeline
	owner      map[string]string // event type -> the decider or pipeline that emits it
}

// Reaction is a declared decision, for those who render or check it.
type Reaction struct {
	Kind  InputKind `json:"kind"`
	Input string    `json:"input"` // event type, command, timer or effect
	Start Start     `json:"start,omitempty"`
	Emits []string  `json:"emits,omitempty"`
	// Endpoint is what an effect calls, of whose outcome this is.
	Endpoint string   `json:"endpoint,omitempty"`
	Asks     []string `json:"asks,omitempty"` // effects
}

// Topic is a Kafka topic of the platform. Order is promised per (writer,
// topic, key), which is why a decider has one topic per kind of key and not
// one per type of event: a release must not overtake its hold.
type Topic struct {
	Name   string `json:"name"`
	Writer string `json:"writer"` // a decider, a pipeline, or "external"
	Kind   string `json:"kind"`   // of the keys
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// ExternalWriter is the writer of events posted from outside.
const ExternalWriter = "external"

// NewTopology checks the declaration: every error names its culprit and cure.
func NewTopology(v *Vocabulary, services []Service, pipelines ...Pipeline) (*Topology, error) {
	t := &Topology{Vocabulary: v, Services: services, Pipelines: pipelines, owner: map[string]string{}}
	errs := noDeciders(services)
	if len(errs) > 0 {
		return nil, fmt.Errorf("the topology does not hold:\n%w", errors.Join(errs...))
	}
	for _, f := range v.facts {
		if f.External {
			t.owner[f.Name] = ExternalWriter
		}
		errs = append(errs, checkFact(f)...)
	}
	names := map[string]string{ExternalWriter: "ingestion", ownTopics: "the platform"}
	claim := func(name, what string) {
		if !nameRule.MatchString(name) {
			errs = append(errs, fmt.Errorf("%s is called %q: use lower case letters, digits and dashes", what, name))
		}
		if o, ok := names[name]; ok {
			errs = append(errs, fmt.Errorf("%s and %s are both called %q: rename one", o, what, name))
		}
		names[name] = what
	}
	own := func(what, name string) {
		if whose := Reserved(name); whose != "" {
			errs = append(errs, fmt.Errorf("%s %q is called like a part of the platform, %s: rename it", what, name, whose))
		}
	}
	services = slices.Clone(services)
	seen := map[string]bool{}
	for _, s := range services {
		own("service", s.Name)
		if seen[s.Name] || !nameRule.MatchString(s.Name) {
			errs = append(errs, fmt.Errorf("service name %q is used twice or is not of lower case letters, digits and dashes", s.Name))
		}
		seen[s.Name] = true
		for _, d := range s.Deciders {
			claim(d.Name, "decider "+d.Name+" of service "+s.Name)
			errs = append(errs, t.own(s, d)...)
		}
	}
	for _, p := range pipelines {
		own("pipeline", p.Name)
		claim(p.Name, "pipeline "+p.Name)
		if seen[p.Name] { // they would share a group and a dead-letter topic
			errs = append(errs, fmt.Errorf("service %s and pipeline %s are both called %q: rename one", p.Name, p.Name, p.Name))
		}
		errs = append(errs, t.ownPipeline(p)...)
	}
	commands := map[string]string{} // who takes them, in any service
	for _, s := range services {
		errs = append(errs, t.checkService(s, commands)...)
	}
	for _, p := range pipelines {
		types, unknown := p.inputs(v)
		errs = append(errs, unknown...)
		errs = append(errs, t.checkInputs("pipeline "+p.Name, types...)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the topology does not hold:\n%w", err)
	}
	return t, nil
}

// noDeciders reports those that are nil.
func noDeciders(services []Service) (errs []error) {
	for _, s := range services {
		for i, d := range s.Deciders {
			if d == nil {
				errs = append(errs, fmt.Errorf("decider %d of service %q is nil: make it with streams.Define, or leave it out", i+1, s.Name))
			}
		}
	}
	return errs
}

// checkFact reports a type that no topic can carry.
func checkFact(f Fact) (errs []error) {
	if f.External && f.Private {
		errs = append(errs, fmt.Errorf("%s is declared external and private: it cannot be both, drop one", f.Name))
	}
	if !nameRule.MatchString(f.Kind) || slices.Contains([]string{"lanes", "dead", "positions"}, f.Kind) { // topics of the runtime's own end so
		errs = append(errs, fmt.Errorf("the key of %s is of the kind %q: use lower case letters, digits and dashes, and none of \"lanes\", \"dead\" and \"positions\"", f.Name, f.Kind))
	}
	return errs
}

// own records which event types a decider emits and fills in event names.
func (t *Topology) own(s Service, d *Decider) (errs []error) {
	who := "decider " + d.Name + " of service " + s.Name
	mine := map[string]bool{}
	for _, r := range d.reactions {
		if err := checkTags(r.in, map[reflect.Type]bool{}); err != nil && r.kind != EventInput {
			errs = append(errs, fmt.Errorf("%s: %w", who, err))
		}
		for _, e := range r.emits {
			f, ok := t.Vocabulary.FactOf(e)
			if !ok {
				errs = append(errs, fmt.Errorf("%s may emit %T, which is not registered: add streams.NewFact[%T](…) to the vocabulary", who, e, e))
				continue
			}
			if mine[f.Name] {
				continue
			}
			mine[f.Name] = true
			errs = append(errs, t.ownType(who, d.Name, f)...)
		}
	}
	return errs
}

func (t *Topology) ownType(who, writer string, f *Fact) []error {
	if f.External {
		return []error{fmt.Errorf("%s may emit %s, which is declared external: drop streams.External or emit another type", who, f.Name)}
	}
	if o := t.owner[f.Name]; o != "" && o != writer {
		return []error{fmt.Errorf("%s and %s both emit %s: an event type has one owner, give one of them a type of its own", who, o, f.Name)}
	}
	t.owner[f.Name] = writer
	return nil
}

func (t *Topology) checkService(s Service, commands map[string]string) (errs []error) {
	for _, d := range s.Deciders {
		who := "decider " + d.Name + " of service " + s.Name
		inputs := map[string]bool{}
		for _, r := range d.reactions {
			name, err := t.checkReaction(who, d, r)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			id := string(r.kind) + " " + name
			if inputs[id] {
				errs = append(errs, fmt.Errorf("%s decides twice about %s: merge the two", who, id))
			}
			inputs[id] = true
			if r.kind == CommandInput {
				if o, ok := commands[name]; ok {
					errs = append(errs, fmt.Errorf("%s and %s both take command %q: rename one", o, who, name))
				}
				commands[name] = who
			}
		}
	}
	return errs
}

// checkReaction checks one decision and returns the name of its input.
func (t *Topology) checkReaction(who string, d *Decider, r *reaction) (string, error) {
	if r.kind == CommandInput {
		key, ok := reflect.Zero(r.in).Interface().(Event)
		if !ok || key.Key().Kind() != d.Kind {
			return "", fmt.Errorf("%s takes command %q of another kind of key than its own (%s)", who, r.name, d.Kind)
		}
	}
	if r.kind != EventInput {
		if !nameRule.MatchString(r.name) {
			return "", fmt.Errorf("%s has a %s called %q: use lower case letters, digits and dashes", who, r.kind, r.name)
		}
		return r.name, nil
	}
	f, ok := t.Vocabulary.byType[r.in]
	if ok && f.Private {
		return "", fmt.Errorf("%s reacts to %s, which is private to %s: emit an event that is not", who, f.Name, t.owner[f.Name])
	}
	if !ok {
		return "", fmt.Errorf("%s reacts to %v, which is not registered: add streams.NewFact[%v](…) to the vocabulary", who, r.in, r.in)
	}
	if f.Kind != d.Kind {
		return "", fmt.Errorf("%s is keyed by %s but reacts to %s, which is keyed by %s: let an event keyed by %s tell it", who, d.Kind, f.Name, f.Kind, d.Kind)
	}
	if errs := t.checkInputs(who, f.Name); len(errs) > 0 {
		return "", errs[0]
	}
	return f.Name, nil
}

func (t *Topology) checkInputs(who string, types ...string) (errs []error) {
	for _, n := range types {
		if _, ok := t.Vocabulary.byName[n]; !ok {
			errs = append(errs, fmt.Errorf("%s reads event type %q, which is not registered", who, n))
		} else if t.owner[n] == "" {
			errs = append(errs, fmt.Errorf("%s reacts to %s, which nobody produces: declare it with the decider that emits it, or as streams.External", who, n))
		}
	}
	return errs
}

// Topic is where events of a type travel; private ones do not.
func (t *Topology) Topic(eventType string) (Topic, bool) {
	f, ok := t.Vocabulary.byName[eventType]
	if !ok || f.Private || t.owner[eventType] == "" {
		return Topic{}, false
	}
	w := t.owner[eventType]
	return Topic{Name: w + "." + f.Kind, Writer: w, Kind: f.Kind}, true
}

// Topics lists the topics that carry events, sorted by name.
func (t *Topology) Topics() []Topic {
	set := map[string]Topic{}
	for _, f := range t.Vocabulary.facts {
		if tp, ok := t.Topic(f.Name); ok {
			set[tp.Name] = tp
		}
	}
	out := make([]Topic, 0, len(set))
	for _, tp := range set {
		out = append(out, tp)
	}
	slices.SortFunc(out, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// LaneTopic is the empty topic whose group assignment is the lanes of a unit
// (a service, a pipeline or a projection): assignors do not co-partition.
func LaneTopic(unit string) string { return unit + ".lanes" }

// DeadTopic carries the reports of a service's parked and misplaced inputs.
func DeadTopic(service string) string { return service + ".dead" }

// ControlTopic is compacted and records, once per unit, the partition count
// and the incarnation of its store.
const ControlTopic = ownTopics + ".control"

// Decider finds a decider and its service by the decider's name.
func (t *Topology) Decider(name string) (*Service, *Decider, bool) {
	for i := range t.Services {
		for _, d := range t.Services[i].Deciders {
			if d.Name == name {
				return &t.Services[i], d, true
			}
		}
	}
	return nil, nil, false
}

// Service finds a service by its name.
func (t *Topology) Service(name string) (*Service, bool) {
	i := slices.IndexFunc(t.Services, func(s Service) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return &t.Services[i], true
}

// Reactions lists what a decider declares. Event names need the topology to
// have been built, and are those of the vocabulary.
func (t *Topology) Reactions(d *Decider) []Reaction {
	out := make([]Reaction, 0, len(d.reactions))
	for _, r := range d.reactions {
		x := Reaction{Kind: r.kind, Input: r.name}
		if f, ok := t.Vocabulary.byType[r.in]; ok && r.kind == EventInput {
			x.Input, x.Start = f.Name, r.from
		}
		if r.effect != nil {
			x.Endpoint = r.effect.endpoint
		}
		for _, e := range r.asks {
			x.Asks = append(x.Asks, e.name)
		}
		for _, e := range r.emits {
			if f, ok := t.Vocabulary.FactOf(e); ok {
				x.Emits = append(x.Emits, f.Name)
			}
		}
		out = append(out, x)
	}
	return out
}

// CommandTarget finds who takes a command.
func (t *Topology) CommandTarget(command string) (service, decider string, ok bool) {
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			for _, r := range d.reactions {
				if r.kind == CommandInput && r.name == command {
					return s.Name, d.Name, true
				}
			}
		}
	}
	return "", "", false
}

// CommandBody is the type that a command's decider takes.
func (t *Topology) CommandBody(command string) (reflect.Type, bool) {
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			if r := d.reaction(CommandInput, command); r != nil {
				return r.in, true
			}
		}
	}
	return nil, false
}
