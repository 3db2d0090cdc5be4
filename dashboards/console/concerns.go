package console

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Levels of a concern, and their colours.
const (
	calm    = ""
	warning = "warn"
	severe  = "bad"
)

// concern is something that a person should look at.
type concern struct {
	Level    string
	What     string
	More     string
	Path     string // where to look on, if anywhere
	PathText string
	parked   int
}

// concernsShown bounds the reasons of one sort.
const concernsShown = 5

// concerns lists what needs a look, the worst first.
func (c *Console) concerns(ctx context.Context) []concern {
	out, _ := c.need.get(c.Now(), pulseFresh, func() ([]concern, error) {
		ctx := context.WithoutCancel(ctx)
		out := slices.Concat(c.parkedConcerns(ctx), c.lateConcerns(ctx), c.laneConcerns(), c.unitConcerns(), c.outsideConcerns(), c.lagConcerns(), c.alertConcerns(ctx), c.skipConcerns(ctx))
		slices.SortStableFunc(out, func(a, b concern) int { return rank(a) - rank(b) })
		return out, nil
	})
	return out
}

func rank(c concern) int { return slices.Index([]string{severe, warning, calm}, c.Level) }

// unreadable says so, and how old what is shown instead is.
func unreadable(what string, err error, shown string) []concern {
	return []concern{{Level: warning, What: what + " cannot be read now: " + shown, More: mask(err.Error())}}
}

func (c *Console) parkedConcerns(ctx context.Context) (out []concern) {
	letters, _, err := c.lettersNow(ctx)
	if err != nil {
		out = unreadable("Dead letters", err, asOf(&c.parked, c.Now(), err))
	}
	type place struct{ service, decider string }
	keys, reasons, inputs := map[place]map[string]bool{}, map[place]string{}, map[place]int{}
	for _, l := range letters {
		p := place{l.Service, l.Decider}
		if keys[p] == nil {
			keys[p] = map[string]bool{}
		}
		keys[p][l.Key] = true
		inputs[p]++
		if reasons[p] == "" {
			reasons[p] = l.Reason
		}
	}
	places := slices.SortedFunc(maps.Keys(keys), func(a, b place) int { return strings.Compare(a.service+a.decider, b.service+b.decider) })
	for _, p := range places {
		out = append(out, concern{severe, plural(len(keys[p]), "key") + " parked in " + p.decider, mask(firstLine(reasons[p])), "/dead-letters", "look", inputs[p]})
	}
	return out
}

func (c *Console) lateConcerns(ctx context.Context) []concern {
	f, err := c.inFlight(ctx)
	if err != nil {
		return unreadable("The read model", err, asOf(&c.flight, c.Now(), err))
	}
	if f.Late == 0 {
		return nil
	}
	return []concern{{Level: severe, What: plural(f.Late, "saga") + " beyond the declared time", More: "the oldest began " + coarse(c.Now().Sub(f.Oldest)) + " ago",
		Path: "/sagas?state=stuck", PathText: "why"}}
}

func (c *Console) laneConcerns() (out []concern) {
	why := c.NotReady()
	for i, w := range why {
		if i == concernsShown {
			return append(out, concern{Level: warning, What: fmt.Sprintf("and %d more are not at work", len(why)-i)})
		}
		what, more := laneTrouble(w)
		out = append(out, concern{Level: warning, What: what, More: more})
	}
	return out
}

// unitConcerns are those of units that are halted, and of a read model that is late.
func (c *Console) unitConcerns() (out []concern) {
	for i, w := range c.Degraded() {
		if i == concernsShown {
			return append(out, concern{Level: warning, What: "and more: see /readyz"})
		}
		what, more, _ := strings.Cut(w, ": ")
		out = append(out, concern{Level: severe, What: what, More: mask(more)})
	}
	return out
}

func (c *Console) outsideConcerns() (out []concern) {
	_, last, _ := c.samples.now(0)
	for k, v := range last.breakers {
		if state := breakers[v]; state != "" {
			out = append(out, concern{Level: warning, What: k.endpoint + " does not answer", More: "the circuit breaker of " + k.service + " is " + state + ": its calls wait"})
		}
	}
	slices.SortFunc(out, func(a, b concern) int { return strings.Compare(a.What, b.What) })
	return out
}

// unpublishedLong is when stored events that Kafka has not taken are a concern.
const unpublishedLong = 5 * time.Second

func (c *Console) lagConcerns() (out []concern) {
	_, last, _ := c.samples.now(0)
	for _, s := range c.Topology.Services {
		if age := seconds(last.age[s.Name]); age >= slow {
			out = append(out, concern{Level: warning, What: s.Name + " is " + span(age) + " behind", More: "the age of the last record that it read, while others wait"})
		}
		if age := seconds(last.unpublished[s.Name]); age >= unpublishedLong {
			out = append(out, concern{Level: warning, What: s.Name + " cannot publish", More: "its oldest stored event waits for the log since " + span(age)})
		}
	}
	return out
}

func (c *Console) skipConcerns(ctx context.Context) []concern {
	skips, err := c.Reads.Skips(ctx)
	if err != nil || len(skips) == 0 || c.Now().Sub(skips[0].At) > time.Hour {
		return nil
	}
	s := skips[0]
	return []concern{{Level: calm, What: "The read model passed over a record", More: fmt.Sprintf("%s/%d@%d, %s: %s", s.Topic, s.Partition, s.Offset, stampAt(s.At, c.Now()).Ago, mask(firstLine(s.Reason)))}}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 160 {
		s = string(r[:157]) + "…"
	}
	return s
}
