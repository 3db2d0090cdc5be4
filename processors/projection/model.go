// Package projection keeps the read model: the documents of every view that a
// business declares, what its sagas have become, and every event that made them so. It reads all event topics
// from its own cursors, which guard the rows that they were written with, and
// what it writes does not depend on the order in which topics are read.
//
// The rows are in a Store: projection/sqlite embeds one, projection/mongo keeps
// them in MongoDB.
package projection

import (
	"sync"
	"sync/atomic"
)

// Model is the read model: its store, and what a Run in this process adds to
// it. Another process may write the same store instead.
type Model struct {
	Store
	busy  atomic.Bool // a Run is on
	stats counters

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced by every write
	accepted map[HoleError]bool
}

// New makes the read model of a store. Close closes the store.
func New(s Store) *Model {
	return &Model{Store: s, stats: counters{topics: map[string]*topicCounter{}}, changed: make(chan struct{}), accepted: map[HoleError]bool{}}
}

// Accept has the next Run go on over this very hole, and leave a note of it: a
// person has said that what is missing is lost.
func (m *Model) Accept(h *HoleError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted[*h] = true
}

func (m *Model) accepts(h HoleError) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.accepted[h]
}

// notify wakes those who wait for rows.
func (m *Model) notify() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Model) next() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}
