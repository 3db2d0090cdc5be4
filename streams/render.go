package streams

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// edge is a flow between two deciders, pipelines or the outside.
type edge struct {
	from, to string
	label    []string
}

// Readers lists the deciders and pipelines that react to an event type.
func (t *Topology) Readers(eventType string) (out []string) {
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			for _, r := range t.Reactions(d) {
				if r.Kind == EventInput && r.Input == eventType {
					out = append(out, d.Name)
				}
			}
		}
	}
	for _, p := range t.Pipelines {
		if types, _ := p.inputs(t.Vocabulary); slices.Contains(types, eventType) {
			out = append(out, p.Name)
		}
	}
	return out
}

// edges are the flows, in the order of the vocabulary.
func (t *Topology) edges() []*edge {
	var out []*edge
	add := func(from, to, label string) {
		for _, e := range out {
			if e.from == from && e.to == to {
				e.label = append(e.label, label)
				return
			}
		}
		out = append(out, &edge{from, to, []string{label}})
	}
	for _, f := range t.Vocabulary.facts {
		for _, r := range t.Readers(f.Name) {
			if t.owner[f.Name] != "" {
				add(t.owner[f.Name], r, f.Name)
			}
		}
	}
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			for _, r := range d.reactions {
				switch r.kind {
				case CommandInput:
					add("clients", d.Name, r.name)
				case OutcomeInput:
					add(d.Name, r.effect.endpoint, r.name)
				}
			}
		}
	}
	return out
}

// Flow is a directed flow of the topology, for those who draw it.
type Flow struct {
	From, To string
	Events   []string // event types, commands or effects
}

// Flows lists the flows between deciders, pipelines, clients, outside writers
// and endpoints.
func (t *Topology) Flows() []Flow {
	var out []Flow
	for _, e := range t.edges() {
		out = append(out, Flow{e.from, e.to, e.label})
	}
	return out
}

// outsiders are the ends of flows that are no deciders or pipelines.
func (t *Topology) outsiders(edges []*edge) (out []string) {
	inside := map[string]bool{}
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			inside[d.Name] = true
		}
	}
	for _, p := range t.Pipelines {
		inside[p.Name] = true
	}
	for _, e := range edges {
		for _, n := range []string{e.from, e.to} {
			if !inside[n] && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Mermaid draws the topology as a Mermaid flowchart, which GitHub shows.
func (t *Topology) Mermaid() string {
	edges := t.edges()
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, s := range t.Services {
		fmt.Fprintf(&b, "  subgraph %s\n", s.Name)
		for _, d := range s.Deciders {
			fmt.Fprintf(&b, "    %s[\"%s<br/><small>by %s</small>\"]\n", ident(d.Name), d.Name, d.Kind)
		}
		b.WriteString("  end\n")
	}
	for _, p := range t.Pipelines {
		fmt.Fprintf(&b, "  %s{{%s}}\n", ident(p.Name), p.Name)
	}
	for _, o := range t.outsiders(edges) {
		fmt.Fprintf(&b, "  %s([%s])\n", ident(o), o)
	}
	for _, e := range edges {
		fmt.Fprintf(&b, "  %s -- \"%s\" --> %s\n", ident(e.from), strings.Join(e.label, "<br/>"), ident(e.to))
	}
	return b.String()
}

// ident keeps a name from being a word of the diagram language, such as "end".
func ident(name string) string { return "n_" + strings.ReplaceAll(name, "-", "_") }

// Dot draws the topology in Graphviz's language.
func (t *Topology) Dot() string {
	edges := t.edges()
	var b strings.Builder
	b.WriteString("digraph weir {\n  rankdir=LR; node [shape=box, style=rounded, fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=10];\n")
	for _, s := range t.Services {
		fmt.Fprintf(&b, "  subgraph \"cluster_%s\" {\n    label=%q;\n", s.Name, s.Name)
		for _, d := range s.Deciders {
			fmt.Fprintf(&b, "    %q;\n", d.Name)
		}
		b.WriteString("  }\n")
	}
	for _, o := range t.outsiders(edges) {
		fmt.Fprintf(&b, "  %q [shape=ellipse];\n", o)
	}
	for _, e := range edges {
		fmt.Fprintf(&b, "  %q -> %q [label=\"%s\"];\n", e.from, e.to, strings.Join(e.label, `\n`))
	}
	b.WriteString("}\n")
	return b.String()
}

// MarshalJSON renders the topology for programs.
func (t *Topology) MarshalJSON() ([]byte, error) {
	type decider struct {
		Name      string     `json:"name"`
		Key       string     `json:"key"`
		Reactions []Reaction `json:"reactions"`
	}
	type service struct {
		Name     string    `json:"name"`
		Deciders []decider `json:"deciders"`
	}
	type event struct {
		Type    string   `json:"type"`
		Version int      `json:"version"`
		Key     string   `json:"key"`
		Writer  string   `json:"writer,omitempty"`
		Topic   string   `json:"topic,omitempty"`
		Readers []string `json:"readers,omitempty"`
	}
	var out struct {
		Services []service `json:"services"`
		Events   []event   `json:"events"`
		Topics   []Topic   `json:"topics"`
	}
	for _, s := range t.Services {
		x := service{Name: s.Name}
		for _, d := range s.Deciders {
			x.Deciders = append(x.Deciders, decider{d.Name, d.Kind, t.Reactions(d)})
		}
		out.Services = append(out.Services, x)
	}
	for _, f := range t.Vocabulary.facts {
		topic, _ := t.Topic(f.Name)
		out.Events = append(out.Events, event{f.Name, f.Version, f.Kind, topic.Writer, topic.Name, t.Readers(f.Name)})
	}
	out.Topics = t.Topics()
	return json.Marshal(out)
}
