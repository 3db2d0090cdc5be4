package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// RedecideConfig says which lane's history is decided again, and with what.
type RedecideConfig struct {
	Topology   *Topology // the deciders in hand, whatever code decided at the time
	Service    string
	Partitions int32 // of the platform
	Lane       int32
	Store      Store // the lane's cursor and rows of inputs are read; nothing is written
	Until      int64 // the rev of the last commit to decide again; 0: the last there is
	// Record reads a record of the lane's partition of an input topic. Its
	// error ends the work.
	Record func(topic string, offset int64) (*kgo.Record, error)
	// Failed tells of decisions that failed at the time and need not fail any
	// more, as a person has deployed better code since and retried the input.
	// Such a decision is not made: it parks its key, with this reason. attempt
	// counts a decider's decisions about one input, from 1; waiting behind
	// another input is none. nil: no decision is known to have failed.
	Failed func(decider, id string, attempt int) (reason string, failed bool)

	MaxEventBytes int // as in Config
}

// Redecided is one stored input and what follows from it, on top of what
// followed from all inputs before it.
type Redecided struct {
	Rev    int64     // of the commit that took it
	At     time.Time // of its admission: the lane's clock
	Input  InputEntry
	Record *kgo.Record  // of a fresh event; else nil
	Parked *ParkedInput // the row that was retried or dropped, as it followed; nil for a fresh input
	// Dropped says that a person gave the parked input up: nothing was decided.
	Dropped bool
	// Tx is what the input alone leaves behind, as a commit of its own; it has
	// no cursor and no row of inputs. Done is empty if the input is an outcome
	// that nobody asked for. Sequences begin at 1 and rise as the lane's did,
	// but reports of misplaced records, which no row lists, take none.
	Tx Tx
}

// ContradictionError says that a stored input cannot follow those before it:
// the rows are damaged, or the code in hand does not decide as that which wrote
// them did. Nothing after it can be decided again.
type ContradictionError struct {
	Rev    int64 // of the commit
	Input  InputEntry
	Reason string
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("commit %d cannot have taken %s: %s", e.Rev, &e.Input, e.Reason)
}

// String names the input: where its record lies, or whose it is.
func (e *InputEntry) String() string {
	if e.Topic != "" {
		return fmt.Sprintf("%s@%d", e.Topic, e.Offset)
	}
	return fmt.Sprintf("%s %s (%s) of %s %q", e.Kind, e.Name, e.ID, e.Stream.Decider, e.Stream.Key)
}

// Redecide decides a lane's stored inputs again, from the first and from empty
// states, with the runtime's own code, and hands what follows to each, in the
// order of the inputs. It fails with each's error, with one of the store's or
// of Record, or with a *ContradictionError.
func Redecide(ctx context.Context, cfg RedecideConfig, each func(Redecided) error) error {
	h, err := newHistory(ctx, &cfg)
	if err != nil {
		return err
	}
	return cfg.Store.Inputs(ctx, cfg.Lane, 0, func(row InputRow) error {
		if cfg.Until > 0 && row.Rev > cfg.Until {
			return nil
		}
		entries, err := DecodeInputs(row.Entries)
		if err != nil {
			return &ContradictionError{Rev: row.Rev, Reason: err.Error()}
		}
		for i := range entries {
			d := Redecided{Rev: row.Rev, At: row.At, Input: entries[i]}
			if err := h.take(ctx, &d); err != nil {
				return err
			}
			if err := each(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// history is a lane without a log, on a store in memory that holds only what
// its decisions read: the states, and what of its inputs is parked or asked for.
type history struct {
	Store     // nil: the lane asks for nothing else
	cfg       *RedecideConfig
	l         *lane
	snapshots map[StreamID]Snapshot
	parked    map[StreamID][]ParkedInput // in the order of their sequences
	asked     map[string]int64           // pending effects by the id of the outcome
	attempts  map[string]int             // by id and decider, as poison
}

func newHistory(ctx context.Context, cfg *RedecideConfig) (*history, error) {
	s, ok := cfg.Topology.Service(cfg.Service)
	if !ok {
		return nil, fmt.Errorf("the topology has no service %q", cfg.Service)
	}
	cur, err := cfg.Store.Cursor(ctx, cfg.Lane)
	if err != nil {
		return nil, fmt.Errorf("cursor of %s/%d: %w", cfg.Service, cfg.Lane, err)
	}
	h := &history{cfg: cfg, snapshots: map[StreamID]Snapshot{}, parked: map[StreamID][]ParkedInput{}, asked: map[string]int64{}, attempts: map[string]int{}}
	i := &Instance{cfg: Config{Topology: cfg.Topology, Partitions: cfg.Partitions, MaxEventBytes: cfg.MaxEventBytes}, plan: newPlan(cfg.Topology, s), store: h}
	i.cfg.defaults()
	i.log = i.cfg.Log
	h.l = newLane(&owner{i: i, part: cfg.Lane, poison: map[string]string{}}, &Cursor{Lane: cfg.Lane, Incarnation: cur.Incarnation,
		Inputs: map[string]Position{}, Seen: map[Source]int64{}, Sent: map[Target]int64{}})
	h.l.pub = newPublisher(nil, 0)
	return h, nil
}

// Load reads states that followed.
func (h *history) Load(_ context.Context, _ int32, ids []StreamID) (out []Snapshot, err error) {
	for _, id := range ids {
		if s, ok := h.snapshots[id]; ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// Events is asked for only if a state cannot be read back.
func (h *history) Events(context.Context, int32, StreamID, int64, func(StoredEvent) error) error {
	return errors.New("its state cannot be read back: keep in it only what JSON can hold")
}

// Replies knows none: what repeats a command is in no row.
func (h *history) Replies(context.Context, int32, []string) ([]Reply, error) { return nil, nil }

// Externals knows none: what repeats an event from outside is in no row.
func (h *history) Externals(context.Context, int32, []ExternalID) ([]ExternalID, error) {
	return nil, nil
}

// take decides about one stored input.
func (h *history) take(ctx context.Context, d *Redecided) error {
	name, dropped := d.Input.Dropped()
	d.Parked = h.head(&d.Input, name, dropped)
	if d.Parked == nil && (dropped || d.Input.Topic == "" && d.Input.Kind == EventInput) {
		return d.contradiction("its key is not parked behind it")
	}
	if dropped {
		d.Dropped = true
		d.Tx.Unparked = []int64{d.Parked.Seq}
		h.l.unparkOne(d.Parked.Stream)
		h.keep(d)
		return nil
	}
	in, err := h.input(d)
	if err != nil {
		return err
	}
	h.expect(&in)
	if err := h.decide(ctx, d, in); err != nil {
		return d.contradiction(err.Error())
	}
	h.keep(d)
	return nil
}

func (d *Redecided) contradiction(reason string) error {
	return &ContradictionError{Rev: d.Rev, Input: d.Input, Reason: reason}
}

// head is the row that a key is parked behind, if it is this input's. A retry
// begins with it; a fresh input never has its id. Dropped may be a later one: a
// timer that was cancelled while it waited.
func (h *history) head(e *InputEntry, name string, dropped bool) *ParkedInput {
	rows := h.parked[e.Stream]
	if !dropped && len(rows) > 1 {
		rows = rows[:1]
	}
	for _, row := range rows {
		if e.Topic == "" && row.Kind == e.Kind && row.Name == name && row.ID == e.ID {
			return &row
		}
	}
	return nil
}

// input makes of the entry what the lane took.
func (h *history) input(d *Redecided) (input, error) {
	e := &d.Input
	switch {
	case d.Parked != nil:
		return d.Parked.input(), nil
	case e.Topic == "":
		return input{kind: e.Kind, id: e.ID, name: e.Name, ver: e.TypeVer, body: e.Body, origin: e.Origin, at: d.At, stream: e.Stream, effect: h.asked[e.ID]}, nil
	}
	r, err := h.cfg.Record(e.Topic, e.Offset)
	if err != nil {
		return input{}, fmt.Errorf("record %s/%d@%d, taken by commit %d: %w", e.Topic, h.cfg.Lane, e.Offset, d.Rev, err)
	}
	env, err := ReadEnvelope(r)
	if err != nil {
		return input{}, d.contradiction(err.Error())
	}
	d.Record = r
	return eventInput(r, &env), nil
}

// input is the parked input, to be decided again.
func (p *ParkedInput) input() input {
	return input{kind: p.Kind, id: p.ID, name: p.Name, ver: p.TypeVer, body: p.Body, origin: p.Origin, at: p.At, stream: p.Stream, source: p.Source, parked: p}
}

// expect lets the decisions fail that are known to have failed.
func (h *history) expect(in *input) {
	streams := []StreamID{in.stream}
	if in.rec != nil {
		streams = streams[:0]
		for _, t := range h.l.plan.byType[in.name] {
			streams = append(streams, StreamID{t.decider.Name, in.key})
		}
	}
	for _, s := range streams {
		key := in.cause() + " " + s.Decider
		if in.parked != nil {
			delete(h.l.poison, key) // as a retry does
		} else if h.l.parked[s] > 0 {
			continue // it waits
		}
		if h.cfg.Failed == nil {
			continue
		}
		h.attempts[key]++
		if reason, failed := h.cfg.Failed(s.Decider, in.id, h.attempts[key]); failed {
			h.l.poison[key] = reason
		}
	}
}

// decide makes a transaction of the one input. As in a lane, an evolve that
// panics costs the memory, and at the second attempt the input parks.
func (h *history) decide(ctx context.Context, d *Redecided, in input) error {
	for {
		before := h.l.cur.Clone()
		b := h.l.newBatch()
		b.at, b.inputs = d.At, []input{in}
		err := b.prepare(ctx)
		if err == nil {
			err = b.take(&b.inputs[0])
		}
		if err == nil {
			err = b.assemble()
		}
		var bad *poisoned
		if errors.As(err, &bad) {
			h.forget(before)
			continue
		}
		b.tx.Cursor, b.tx.Inputs = nil, nil
		if _, asked := h.asked[in.id]; !asked {
			b.tx.Done = nil
		}
		d.Tx = b.tx
		h.l.states.trim()
		return err
	}
}

// forget throws away what the lane has in memory beside the store.
func (h *history) forget(cur *Cursor) {
	h.l.cur, h.l.states = cur, newStateCache(h.l.cfg.StateCache)
	h.l.parked, h.l.nParked = map[StreamID]int{}, 0
	for id, rows := range h.parked {
		h.l.parked[id] = len(rows)
		h.l.nParked += len(rows)
	}
}

// keep takes over what the input left behind.
func (h *history) keep(d *Redecided) {
	for _, s := range d.Tx.Snapshots {
		h.snapshots[s.Stream] = s
	}
	if len(d.Tx.Unparked) > 0 {
		id := d.Parked.Stream
		h.parked[id] = slices.DeleteFunc(h.parked[id], func(p ParkedInput) bool { return p.Seq == d.Parked.Seq })
		if len(h.parked[id]) == 0 {
			delete(h.parked, id)
		}
	}
	for _, p := range d.Tx.Parked {
		rows := h.parked[p.Stream]
		i, _ := slices.BinarySearchFunc(rows, p.Seq, func(r ParkedInput, seq int64) int { return int(r.Seq - seq) })
		h.parked[p.Stream] = slices.Insert(rows, i, p)
	}
	if len(d.Tx.Done) > 0 {
		delete(h.asked, d.Input.ID)
	}
	for _, p := range d.Tx.Effects {
		h.asked[deriveID(p.ID, "outcome")] = p.Seq
	}
}
