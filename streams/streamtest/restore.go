package streamtest

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/weirstream/weir/streams"
)

// restoreOld stops a service, lets it work on from a copy of its store, and
// then starts it on the copy as if that were the truth. The lanes have handed out
// sequences since: they have to notice, and halt. Then the true store is put back.
func (w *World) restoreOld(service string) {
	w.stopAll(service)
	old := w.swapStore(service, "")
	w.startOne(service)
	time.Sleep(20 * time.Second)
	w.stopAll(service)
	newest := w.swapStore(service, old)
	if w.allBehind(service, w.look(service)) {
		n := w.startOne(service)
		time.Sleep(15 * time.Second)
		for _, l := range n.Lanes() {
			if l.State == streams.LaneRunning {
				w.Violate("%s/%d works on an old copy of its store and has not noticed", service, l.Lane)
			}
		}
		w.stopAll(service)
	} else {
		w.Note("not every lane was mirrored since: that old copy would not be noticed")
	}
	w.swapStore(service, newest)
	w.mu.Lock()
	delete(w.reserved, service)
	w.mu.Unlock()
	w.startOne(service)
}

// stopAll drains a service's instances and lets nobody start one.
func (w *World) stopAll(service string) {
	w.mu.Lock()
	w.reserved[service] = true
	w.mu.Unlock()
	for _, n := range w.living(service) {
		w.leave(n)
	}
}

// swapStore keeps a copy of a stopped service's store and returns its path; if
// other is given, that copy becomes the store.
func (w *World) swapStore(service, other string) string {
	w.mu.Lock()
	look := w.looks[service]
	delete(w.looks, service)
	w.copies++
	number := w.copies
	w.mu.Unlock()
	if err := look.Close(); err != nil { // the last to close: the file is whole
		w.Violate("the store of %s did not close: %v", service, err)
	}
	path := w.storePath(service)
	kept := fmt.Sprintf("%s.copy-%d", path, number)
	w.copyFile(path, kept)
	if other != "" {
		w.copyFile(other, path)
	}
	w.mu.Lock()
	w.looks[service] = w.OpenStore(service)
	w.mu.Unlock()
	return kept
}

func (w *World) copyFile(from, to string) {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		w.Violate("a store could not be copied: %v", err)
	}
}

// allBehind tells whether the log knows of every lane that it has handed out
// more sequences than a store, as it is now, remembers. Of what came while the
// log was away nobody knows, and such a copy must not run.
func (w *World) allBehind(service string, s streams.Store) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	known, err := streams.Control(ctx, w.Client(), service, w.Partitions)
	for err != nil && sleepFor(ctx, time.Second) { // the broker has its own trouble
		known, err = streams.Control(ctx, w.Client(), service, w.Partitions)
	}
	if err != nil {
		w.Violate("%v", err)
		return false
	}
	for lane, c := range w.cursors(service, s) {
		if known[lane] <= c.LastSeq {
			return false
		}
	}
	return true
}

func (w *World) cursors(service string, s streams.Store) map[int32]*streams.Cursor {
	out := map[int32]*streams.Cursor{}
	for lane := range w.Partitions {
		c, err := s.Cursor(context.Background(), lane)
		if err != nil {
			w.Violate("cursor of %s/%d: %v", service, lane, err)
			c = &streams.Cursor{}
		}
		out[lane] = c
	}
	return out
}
