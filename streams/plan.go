package streams

import "slices"

// plan is what a service's lanes do with what arrives: the topology, turned
// around and resolved once.
type plan struct {
	topology *Topology
	service  string
	deciders map[string]*Decider
	byType   map[string][]target // event type -> who decides about it
	commands map[string]target
	starts   map[string]Start  // input topic -> where a new lane begins
	facts    map[string]*route // event type -> how it travels
}

type target struct {
	decider  *Decider
	reaction *reaction
}

// route is a fact with its topic.
type route struct {
	fact  *Fact
	topic string
}

func newPlan(t *Topology, s *Service) *plan {
	p := &plan{topology: t, service: s.Name, deciders: map[string]*Decider{}, byType: map[string][]target{},
		commands: map[string]target{}, starts: map[string]Start{}, facts: map[string]*route{}}
	for i := range t.Vocabulary.facts {
		f := &t.Vocabulary.facts[i]
		if tp, ok := t.Topic(f.Name); ok {
			p.facts[f.Name] = &route{f, tp.Name}
		}
	}
	for _, d := range s.Deciders {
		p.deciders[d.Name] = d
		for _, r := range d.reactions {
			switch r.kind {
			case CommandInput:
				p.commands[r.name] = target{d, r}
			case EventInput:
				name := t.Vocabulary.byType[r.in].Name
				p.byType[name] = append(p.byType[name], target{d, r})
				// One reader that wants all decides for the topic.
				if topic := p.facts[name].topic; p.starts[topic] != All {
					p.starts[topic] = r.from
				}
			}
		}
	}
	return p
}

// topics lists the input topics, sorted.
func (p *plan) topics() []string {
	out := make([]string, 0, len(p.starts))
	for t := range p.starts {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

// writes lists the topics that the service's deciders write.
func (p *plan) writes() (out []string) {
	for _, t := range p.topology.Topics() {
		if d, ok := p.deciders[t.Writer]; ok && d != nil {
			out = append(out, t.Name)
		}
	}
	return out
}

// target finds who decides about a stored input.
func (p *plan) target(stream StreamID, kind InputKind, name string) (target, bool) {
	d, ok := p.deciders[stream.Decider]
	if !ok {
		return target{}, false
	}
	if kind == EventInput {
		for _, t := range p.byType[name] {
			if t.decider == d {
				return t, true
			}
		}
		return target{}, false
	}
	r := d.reaction(kind, name)
	return target{d, r}, r != nil
}
