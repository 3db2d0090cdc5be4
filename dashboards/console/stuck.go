package console

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
)

// Bounds of the list of stuck sagas.
const (
	silentFor    = 10 * time.Second // a running saga without an event for so long is waiting
	eventsAsked  = 200              // of each
	everyRunning = 100 * 365 * 24 * time.Hour
)

// hindrance is what a saga waits for.
type hindrance struct {
	Level string
	What  string
	More  string
	Since time.Time // zero: not known
	Path  string    // where to look on, if anywhere
	at    string    // the decider at which an input is parked
}

// stuckRow is a saga that is late or silent, with what holds it up.
type stuckRow struct {
	sagaRow
	Why []hindrance
}

// stuckGroup is sagas that wait for the same, the first of them and the others.
type stuckGroup struct {
	stuckRow
	Others []stuckRow
}

// alike groups sagas of one state by what they wait for, whenever that began.
func alike(rows []stuckRow) (out []stuckGroup) {
	at := map[string]int{}
	for _, r := range rows {
		key := r.State
		for _, h := range r.Why {
			key += "\n" + h.What + "\n" + h.More
		}
		if i, ok := at[key]; ok {
			out[i].Others = append(out[i].Others, r)
			continue
		}
		at[key] = len(out)
		out = append(out, stuckGroup{stuckRow: r})
	}
	return out
}

// stuck lists the sagas that are late, or have had no event for a while, of the
// oldest running ones; more is whether others run that were not looked at.
func (c *Console) stuck(ctx context.Context) (out []stuckRow, more bool, err error) {
	// What is late in a hundred years is what runs now, the oldest first.
	running, err := c.Reads.Late(ctx, c.Now().Add(everyRunning), flyingCounted)
	if err != nil {
		return nil, false, err
	}
	letters, _, lettersErr := c.lettersNow(ctx)
	for _, s := range running {
		late := c.Now().After(s.Due)
		if !late && c.Now().Sub(s.LastAt) < silentFor {
			continue
		}
		row, err := c.stuckRow(ctx, s, letters)
		if err != nil {
			return nil, false, err
		}
		if lettersErr != nil {
			row.Why = append(row.Why, hindrance{Level: warning, What: "dead letters cannot be read now", More: mask(lettersErr.Error())})
		}
		if !late {
			row.State, row.Class = "waiting", warning
		}
		out = append(out, row)
	}
	return out, len(running) == projection.PageSize, nil
}

func (c *Console) stuckRow(ctx context.Context, s projection.Saga, letters []Letter) (r stuckRow, err error) {
	rows, err := c.rows(ctx, []projection.Saga{s})
	if err != nil {
		return r, err
	}
	r.sagaRow = rows[0]
	events, err := c.firstEvents(ctx, s.Correlation, r.About, eventsAsked)
	if err != nil {
		return r, err
	}
	hops := c.shape.hops(events)
	left := c.story(s.Name, r.About, hops).Now()
	r.Why = c.why(letters, s.Correlation, r.About, left, hops)
	if len(r.Why) == 0 {
		r.Why = plainly(s, left)
	}
	return r, nil
}

// why is what keeps a saga from going on.
func (c *Console) why(letters []Letter, correlation string, o *subject, left []step, hops []hop) []hindrance {
	parked := parkedOf(letters, correlation, o)
	free := slices.DeleteFunc(slices.Clone(left), func(l step) bool { // whoever has not decided waits for nobody else
		return slices.ContainsFunc(parked, func(h hindrance) bool { return h.at == l.By })
	})
	return append(parked, c.holdups(free, hops)...)
}

// plainly says what is to come, where nothing is known to hold it up.
func plainly(s projection.Saga, left []step) (out []hindrance) {
	for _, l := range left {
		out = append(out, hindrance{What: l.By + " " + l.What, Since: l.Since})
	}
	if len(out) == 0 {
		out = append(out, hindrance{What: "nothing came after " + s.Last, Since: s.LastAt})
	}
	return out
}

// parkedOf are the parked inputs of a saga: those that failed, and those that
// wait behind the failure of another.
func parkedOf(letters []Letter, correlation string, o *subject) (out []hindrance) {
	for _, k := range byKey(letters) {
		ours := func(l Letter) bool { return l.Correlation == correlation || o != nil && l.Key == o.Key }
		path := "/dead-letters#" + k.ID
		if ours(k.Letter) {
			out = append(out, hindrance{severe, mask(k.Name) + " is parked at " + k.Decider, mask(firstLine(k.Reason)), k.At, path, k.Decider})
		} else if i := slices.IndexFunc(k.Waiting, ours); i >= 0 {
			l := k.Waiting[i]
			out = append(out, hindrance{severe, mask(l.Name) + " waits behind a parked input of " + k.Decider + " " + mask(k.Key), mask(firstLine(k.Reason)), l.At, path, k.Decider})
		}
	}
	return out
}

// holdups are what keeps the steps of a saga from happening: a lane that does
// not work, records that are not read, an outside call without an answer.
func (c *Console) holdups(left []step, hops []hop) (out []hindrance) {
	for _, l := range left {
		if service, d, ok := c.Topology.Decider(l.By); ok {
			topics := c.topicsOf(d)
			for _, h := range append(c.idle(service.Name, topics, hops), c.unreadOf(service.Name, topics)...) {
				if !slices.Contains(out, h) {
					out = append(out, h)
				}
			}
		}
		if h, ok := c.unanswered(l, hops); ok {
			out = append(out, h)
		}
	}
	return out
}

// idle are the lanes of a service that have to read events of a saga and are
// not at work.
func (c *Console) idle(service string, topics []string, hops []hop) (out []hindrance) {
	lanes := []string{"service " + service + " "}
	for _, h := range hops {
		if lane := fmt.Sprintf("lane %s/%d ", service, h.Partition); slices.Contains(topics, h.Topic) && !slices.Contains(lanes, lane) {
			lanes = append(lanes, lane)
		}
	}
	for _, why := range c.NotReady() {
		if slices.ContainsFunc(lanes, func(lane string) bool { return strings.HasPrefix(why, lane) }) {
			what, more := laneTrouble(why)
			out = append(out, hindrance{Level: severe, What: what, More: more, Path: "/#needs"})
		}
	}
	return out
}

// unreadOf are the topics in which a service is far behind.
func (c *Console) unreadOf(service string, topics []string) (out []hindrance) {
	_, last, _ := c.samples.now(0)
	age := seconds(last.age[service])
	for _, topic := range topics {
		if n := int(last.lag[unread{service, topic}]); n > 0 && age >= slow {
			out = append(out, hindrance{Level: warning, What: service + " has not read " + plural(n, "record") + " of " + topic, Since: last.at.Add(-age)})
		}
	}
	return out
}

// unanswered is the outside call that a step waits for.
func (c *Console) unanswered(l step, hops []hop) (hindrance, bool) {
	endpoint := c.shape.endpoint[l.By]
	if endpoint == "" || l.Since.IsZero() || c.Now().Sub(l.Since) < newFor {
		return hindrance{}, false
	}
	h := hindrance{Level: warning, What: endpoint + " has not answered " + l.By, Since: l.Since}
	service, _, _ := c.Topology.Decider(l.By)
	tried := 0
	for _, t := range c.traces(hops) {
		_, _, n := attempts(t.spans, lineage{service.Name, l.By}, endpoint, l.Since, c.Now())
		tried += n
	}
	var more []string
	if tried > 0 {
		more = append(more, "asked "+times(tried))
	}
	_, last, _ := c.samples.now(0)
	if state := breakers[last.breakers[call{service: service.Name, endpoint: endpoint}]]; state != "" {
		more = append(more, "the circuit breaker is "+state)
	}
	h.More = strings.Join(more, ", ")
	return h, true
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return plural(n, "time")
}

// laneTrouble is a reason of NotReady in two parts.
func laneTrouble(why string) (what, more string) {
	what, more, _ = strings.Cut(why, ": ")
	return what, mask(strings.TrimPrefix(more, "<nil>"))
}
