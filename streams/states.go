package streams

import (
	"context"
	"fmt"
)

// entry is a stream's decoded state.
type entry struct {
	value   any   // *S
	version int64 // after the decisions of this batch
	stored  int64 // in the store
}

// stateCache keeps the states that were used last, in two generations: a full
// young one becomes the old one, whose unused entries are forgotten.
type stateCache struct {
	young, old map[StreamID]*entry
	cap        int
}

func newStateCache(capacity int) *stateCache {
	return &stateCache{young: map[StreamID]*entry{}, cap: max(capacity/2, 1)}
}

func (c *stateCache) get(id StreamID) *entry {
	if e := c.young[id]; e != nil {
		return e
	}
	if e := c.old[id]; e != nil {
		c.young[id] = e
		return e
	}
	return nil
}

func (c *stateCache) put(id StreamID, e *entry) { c.young[id] = e }

func (c *stateCache) drop(id StreamID) {
	delete(c.young, id)
	delete(c.old, id)
}

// trim is called between batches only: nothing in use is forgotten.
func (c *stateCache) trim() {
	if len(c.young) > c.cap {
		c.old, c.young = c.young, make(map[StreamID]*entry, c.cap)
	}
}

func (b *batch) loadStates(ctx context.Context, ids []StreamID) error {
	if len(ids) == 0 {
		return nil
	}
	l := b.l
	snaps, err := l.store.Load(ctx, l.part, ids)
	if err != nil {
		return fmt.Errorf("states of lane %s: %w", l.name, err)
	}
	for _, s := range snaps {
		d, e := l.plan.deciders[s.Stream.Decider], l.states.get(s.Stream)
		e.version, e.stored = s.Version, s.Version
		if s.StateVersion == d.StateVersion {
			if e.value, err = d.decode(s.State); err == nil {
				continue
			}
		}
		if e.value, err = l.fold(ctx, d, s.Stream, s.Version); err != nil {
			return err
		}
	}
	for _, id := range ids {
		e := l.states.get(id)
		if e.value == nil {
			e.value = l.plan.deciders[id.Decider].newState()
		}
	}
	return nil
}

// state is a stream's state after the decisions of this batch. One that was
// dropped is made again, from the store and the events of this batch: a
// decision that failed or refused may have written into it, into a map or a
// slice that the copy it was given shares with the state.
func (b *batch) state(id StreamID) (*entry, error) {
	if e := b.l.states.get(id); e != nil {
		return e, nil
	}
	e := &entry{}
	b.l.states.put(id, e)
	if err := b.loadStates(b.ctx, []StreamID{id}); err != nil {
		return nil, err
	}
	for i := range b.tx.Events {
		se := &b.tx.Events[i]
		if se.Stream != id {
			continue
		}
		ev, err := b.l.event(se)
		if err == nil {
			err = evolveAll(b.l.plan.deciders[id.Decider], e, []Event{ev})
		}
		if err != nil {
			return nil, b.l.halt(fmt.Sprintf("the state of %s %q cannot be made again from its events: %v", id.Decider, id.Key, err),
				"Let evolve take its events as they are stored: what their exported fields do not hold is lost.")
		}
		e.version = se.Version
	}
	return e, nil
}

// event is a stored event as evolve takes it.
func (l *lane) event(se *StoredEvent) (Event, error) {
	env, err := se.Envelope()
	if err != nil {
		return nil, err
	}
	f, ok := l.vocabulary.Fact(se.Type)
	if !ok {
		return nil, fmt.Errorf("event type %s is no longer registered", se.Type)
	}
	return f.Decode(env.Version, env.Data)
}

// fold makes a state from its events: its snapshot is of another version.
func (l *lane) fold(ctx context.Context, d *Decider, id StreamID, version int64) (any, error) {
	state, last := d.newState(), int64(0)
	err := l.store.Events(ctx, l.part, id, 0, func(se StoredEvent) error {
		e, err := l.event(&se)
		if err != nil {
			return err
		}
		last = se.Version
		return evolveAll(d, &entry{value: state}, []Event{e})
	})
	if err != nil || last != version {
		return nil, l.halt(fmt.Sprintf("the state of %s %q cannot be folded from its events (version %d of %d): %v", id.Decider, id.Key, last, version, err),
			"Register the missing types or upcasters, or restore the store.")
	}
	return state, nil
}
