package streams

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

// trim is called between batches only: nothing in use is forgotten.
func (c *stateCache) trim() {
	if len(c.young) > c.cap {
		c.old, c.young = c.young, make(map[StreamID]*entry, c.cap)
	}
}
