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
	*Writer
}

// New makes the read model of a store. Close closes the store.
func New(s Store) *Model { return &Model{s, NewWriter(s)} }

// Writer writes a sink from the log, one Run at a time.
type Writer struct {
	sink  Sink
	busy  atomic.Bool // a Run is on
	stats counters

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced by every write
	accepted map[HoleError]bool
}

// NewWriter makes the writer of a sink, which stays the caller's to close.
func NewWriter(s Sink) *Writer {
	return &Writer{sink: s, stats: counters{topics: map[string]*topicCounter{}}, changed: make(chan struct{}), accepted: map[HoleError]bool{}}
}

// Accept has the next Run go on over this very hole, and leave a note of it: a
// person has said that what is missing is lost.
func (w *Writer) Accept(h *HoleError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accepted[*h] = true
}

func (w *Writer) accepts(h HoleError) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.accepted[h]
}

// notify wakes those who wait for rows.
func (w *Writer) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *Writer) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}
