package rebuild

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
)

// Parity compares the events of the live tables with those that were written anew, by the
// hour.
type Parity struct {
	Hours  int      `json:"hours"` // that are the same in both
	Differ []Differ `json:"differ,omitempty"`
	More   int      `json:"more,omitempty"`  // hours that differ, beside those listed
	Fewer  bool     `json:"fewer,omitempty"` // some hour has fewer events anew
}

// Differ is an hour that is not the same in both.
type Differ struct {
	Topic   string    `json:"topic"`
	Type    string    `json:"type"`
	Hour    time.Time `json:"hour"`
	Live    int64     `json:"live"` // events
	Anew    int64     `json:"anew"`
	Because string    `json:"because"` // why that may be
}

// maxDiffer bounds the hours that a report lists.
const maxDiffer = 100

// compare looks twice, as the live tables are written meanwhile: what differs in the same
// way then is no event on its way.
func (r *Rebuild) compare(ctx context.Context) (*Parity, error) {
	r.tell(Progress{Doing: "comparing with the live tables"})
	if _, err := r.behind(ctx); err != nil { // they get the time to come as far
		return nil, err
	}
	first, same, err := r.apart(ctx)
	if err != nil {
		return nil, err
	}
	out := &Parity{Hours: same}
	if len(first) == 0 {
		return out, nil
	}
	var none Report
	target, err := r.ends(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.writeUntil(ctx, target, 0, &none); err != nil {
		return nil, err
	}
	behind, err := r.behind(ctx)
	if err != nil {
		return nil, err
	}
	second, same, err := r.apart(ctx)
	if err != nil {
		return nil, err
	}
	out.Hours = same
	for h, d := range second {
		was, ok := first[h]
		if !ok || was[0].Checksum-was[1].Checksum != d[0].Checksum-d[1].Checksum || was[0].Rows-was[1].Rows != d[0].Rows-d[1].Rows {
			continue
		}
		out.Differ = append(out.Differ, Differ{h.Topic, h.Type, time.Unix(h.Start, 0).UTC(), d[0].Rows, d[1].Rows, r.because(h, d[0], d[1], behind[h.Topic])})
		out.Fewer = out.Fewer || d[1].Rows < d[0].Rows
	}
	slices.SortFunc(out.Differ, func(a, b Differ) int {
		return cmp.Or(a.Hour.Compare(b.Hour), strings.Compare(a.Topic, b.Topic), strings.Compare(a.Type, b.Type))
	})
	if n := len(out.Differ); n > maxDiffer {
		out.Differ, out.More = out.Differ[:maxDiffer], n-maxDiffer
	}
	return out, nil
}

// behindTime is how long the live tables may take to read what the shadow has read.
const behindTime = 5 * time.Second

// behind waits a little for the live tables, and answers of which topics they have read less.
func (r *Rebuild) behind(ctx context.Context) (topics map[string]bool, err error) {
	have, err := r.shadow.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		live, err := r.Live.Offsets(ctx)
		if err != nil {
			return nil, err
		}
		topics = map[string]bool{}
		for topic, partitions := range have {
			for partition, next := range partitions {
				topics[topic] = topics[topic] || live[topic][partition] < next
			}
		}
		if !slices.Contains(slices.Collect(maps.Values(topics)), true) || time.Since(began) > behindTime {
			return topics, nil
		}
		if err := wait(ctx, time.Now(), 1, 5); err != nil {
			return nil, err
		}
	}
}

// apart are the hours that differ, of the live tables and anew.
func (r *Rebuild) apart(ctx context.Context) (out map[analytics.Hour][2]analytics.Sum, same int, err error) {
	from, to := time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 12, 31, 0, 0, 0, 0, time.UTC)
	live, _, err := r.Live.Hours(ctx, from, to)
	if err != nil {
		return nil, 0, err
	}
	anew, _, err := r.shadow.Hours(ctx, from, to)
	if err != nil {
		return nil, 0, err
	}
	out = map[analytics.Hour][2]analytics.Sum{}
	for h, s := range live {
		if anew[h] == s {
			same++
		} else {
			out[h] = [2]analytics.Sum{s, anew[h]}
		}
	}
	for h, s := range anew {
		if _, ok := live[h]; !ok {
			out[h] = [2]analytics.Sum{{}, s}
		}
	}
	return out, same, nil
}

// because says why an hour may differ.
func (r *Rebuild) because(h analytics.Hour, live, anew analytics.Sum, behind bool) string {
	stored := false
	for _, t := range r.Config.Topology.Topics() {
		if _, _, ok := r.Config.Topology.Decider(t.Writer); ok && t.Name == h.Topic {
			stored = true
		}
	}
	switch {
	case anew.Rows > live.Rows && behind:
		return "the live tables have not read so much of the log yet"
	case anew.Rows > live.Rows:
		return fmt.Sprintf("the live tables lack %d of them: weir analytics reconcile says which", anew.Rows-live.Rows)
	case anew.Rows == live.Rows:
		return "as many events, whose rows differ: some were read from an event store, where their offsets are not known; or another version masks other fields; or somebody has altered rows"
	case !stored:
		return "what came from outside or a pipeline wrote is in no event store, and the log no longer has all of it"
	case r.Config.Stores == nil:
		return "the log no longer has all of it, and this process has not the event stores of all services"
	}
	return "neither the log nor the event stores have them; or the live tables have some twice: weir analytics reconcile says which"
}
