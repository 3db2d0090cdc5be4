package verify

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// effects follows the intents: each is asked for once, and its outcome comes
// when those of the same key before it have theirs.
func (r *redecider) effects(d *streams.Redecided) {
	if e := &d.Input; e.Kind == streams.OutcomeInput && d.Parked == nil {
		r.outcome(d, e)
	}
	for _, p := range d.Tx.Effects {
		r.asked[p.Stream] = append(r.asked[p.Stream], p)
	}
}

func (r *redecider) outcome(d *streams.Redecided, e *streams.InputEntry) {
	if len(d.Tx.Done) == 0 {
		r.bad(Decided, "lane %s: commit %d decided about the %s, which nobody asked for, or which had its outcome", r.name, d.Rev, e)
		return
	}
	queue := r.asked[e.Stream]
	i := slices.IndexFunc(queue, func(p streams.PendingEffect) bool { return p.Seq == d.Tx.Done[0] })
	if i < 0 || queue[i].Effect != e.Name || queue[i].Origin.Correlation != e.Origin.Correlation || queue[i].Origin.Causation != e.Origin.Causation {
		r.bad(Decided, "lane %s: commit %d decided about the %s as an outcome of another effect, key or cause than were asked for", r.name, d.Rev, e)
		return
	}
	if i > 0 {
		r.bad(Decided, "lane %s: commit %d decided about the %s before %s (key %s), which its key asked for earlier, had an outcome", r.name, d.Rev, e, queue[0].Effect, queue[0].Key)
	}
	r.asked[e.Stream] = slices.Delete(slices.Clone(queue), i, i+1)
}

// park follows the parked inputs.
func (r *redecider) park(d *streams.Redecided) {
	if d.Parked != nil {
		id := d.Parked.Stream
		r.parks[id] = slices.DeleteFunc(r.parks[id], func(p streams.ParkedInput) bool { return slices.Contains(d.Tx.Unparked, p.Seq) })
	}
	for _, p := range d.Tx.Parked {
		r.parks[p.Stream] = append(r.parks[p.Stream], p)
		slices.SortFunc(r.parks[p.Stream], func(a, b streams.ParkedInput) int { return cmp.Compare(a.Seq, b.Seq) })
	}
}

// judgeEnding compares what followed from all inputs with what is stored beside
// the events.
func (r *redecider) judgeEnding(ctx context.Context) error {
	r.judgeStates()
	r.judgeRows("parked input", rowsOf(r.end.parked, parkedRow), rowsOf(slices.Concat(slices.Collect(maps.Values(r.parks))...), parkedRow))
	r.judgeRows("pending effect", rowsOf(r.end.pending, effectRow), rowsOf(slices.Concat(slices.Collect(maps.Values(r.asked))...), effectRow))
	r.judgeTimers()
	return r.judgeReplies(ctx)
}

// judgeStates compares the last snapshots, byte for byte if they are of the
// state's version.
func (r *redecider) judgeStates() {
	for id, want := range r.state {
		got, ok := r.end.snapshots[id]
		switch {
		case !ok:
			r.bad(Decided, "lane %s: a state of %s %q follows and is not stored", r.name, id.Decider, id.Key)
		case got.Version != want.Version:
			r.bad(Decided, "lane %s: the state of %s %q is stored at version %d, it follows at %d", r.name, id.Decider, id.Key, got.Version, want.Version)
		case got.StateVersion == want.StateVersion && !bytes.Equal(got.State, want.State):
			r.bad(Decided, "lane %s: the state of %s %q is stored as %s; decided again, it is %s", r.name, id.Decider, id.Key, short(got.State), short(want.State))
		}
	}
	for id := range r.end.snapshots {
		if _, ok := r.state[id]; !ok {
			r.bad(Decided, "lane %s: the state of %s %q is stored and follows from no input", r.name, id.Decider, id.Key)
		}
	}
}

// row is a stored row as text, without what depends on the run.
type row struct {
	stream streams.StreamID
	seq    int64
	text   string
}

func parkedRow(p streams.ParkedInput) row {
	return row{p.Stream, p.Seq, fmt.Sprintf("%s %s v%d (%s) from %s at %s, cause %s, saga %s, reason %q, body %s", p.Kind, p.Name, p.TypeVer, p.ID, p.From, clock(p.At),
		p.Origin.Causation, p.Origin.Correlation, firstLine(p.Reason), p.Body)}
}

func effectRow(p streams.PendingEffect) row {
	return row{p.Stream, p.Seq, fmt.Sprintf("%s (%s) with key %s, cause %s, saga %s, body %s", p.Effect, p.ID, p.Key, p.Origin.Causation, p.Origin.Correlation, p.Body)}
}

// rowsOf lists what waits by stream, each in its order.
func rowsOf[T any](all []T, text func(T) row) map[streams.StreamID][]string {
	rows := make([]row, len(all))
	for i, x := range all {
		rows[i] = text(x)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.seq, b.seq) })
	out := map[streams.StreamID][]string{}
	for _, x := range rows {
		out[x.stream] = append(out[x.stream], x.text)
	}
	return out
}

func (r *redecider) judgeRows(what string, got, want map[streams.StreamID][]string) {
	ids := slices.SortedFunc(maps.Keys(want), func(a, b streams.StreamID) int {
		return cmp.Or(strings.Compare(a.Decider, b.Decider), strings.Compare(a.Key, b.Key))
	})
	for id := range got {
		if _, ok := want[id]; !ok {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		g, w := got[id], want[id]
		for i := range max(len(g), len(w)) {
			switch {
			case i >= len(g):
				r.bad(Decided, "lane %s: a %s of %s %q follows and is not stored: %s", r.name, what, id.Decider, id.Key, short([]byte(w[i])))
			case i >= len(w):
				r.bad(Decided, "lane %s: a %s of %s %q is stored and follows from no input: %s", r.name, what, id.Decider, id.Key, short([]byte(g[i])))
			case g[i] != w[i]:
				r.bad(Decided, "lane %s: a %s of %s %q is stored as %s; decided again, it is %s", r.name, what, id.Decider, id.Key, short([]byte(g[i])), short([]byte(w[i])))
			default:
				continue
			}
			break
		}
	}
}

// judgeReplies compares the answers that the store has with those that followed,
// and misses those that it has to have still.
func (r *redecider) judgeReplies(ctx context.Context) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(r.reply)), page) {
		stored, err := r.store.Replies(ctx, r.part, ids)
		if err != nil {
			return err
		}
		left := map[string]bool{}
		for _, id := range ids {
			left[id] = r.reply[id].At.After(r.end.clock.Add(-r.ReplyTTL))
		}
		for _, got := range stored {
			left[got.ID] = false
			want := r.reply[got.ID]
			if got.Digest != want.Digest || got.Status != want.Status || !bytes.Equal(got.Body, want.Body) || !got.At.Equal(want.At) {
				r.bad(Decided, "lane %s: command %s is stored as answered %s %s at %s; decided again, it is %s %s at %s", r.name, got.ID, got.Status, short(got.Body), clock(got.At), want.Status, short(want.Body), clock(want.At))
			}
		}
		for _, id := range ids {
			if left[id] {
				r.bad(Once, "lane %s: command %s was answered at %s and its answer is not stored: sent again, it would be decided again", r.name, id, clock(r.reply[id].At))
			}
		}
	}
	return nil
}
