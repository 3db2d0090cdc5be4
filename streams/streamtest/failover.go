package streamtest

import (
	"fmt"
	"os"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

// failOver makes a service's store an older copy of itself under its running
// instances, as the promotion of a replica that lags does. What the lanes have
// committed since is gone: they have to notice, and halt. Then the true store is
// put back.
func (w *World) failOver(service string) {
	w.mu.Lock()
	w.reserved[service] = true
	w.mu.Unlock()
	path := w.replica(service)
	time.Sleep(20 * time.Second)
	replica, err := sqlite.Open(path, sqlite.WithoutSync())
	if err != nil {
		w.Violate("the replica of %s: %v", service, err)
		return
	}
	nodes := w.living(service)
	if !w.allBehind(service, replica) {
		w.Note("not every lane is known to have come further: the replica need not be noticed")
		nodes = nil
	}
	w.still(nodes, func() {
		for _, n := range nodes {
			n.Become(replica)
		}
	})
	if len(nodes) > 0 {
		time.Sleep(20 * time.Second)
	}
	for _, n := range nodes {
		for _, l := range n.Lanes() {
			if l.State == streams.LaneRunning {
				w.Violate("the store of %s/%d has become an older copy of itself, and the lane has not noticed", service, l.Lane)
			}
		}
	}
	if len(nodes) > 0 { // halted lanes stay with their owners
		w.stopAll(service)
	}
	if err := replica.Close(); err != nil {
		w.Violate("the replica of %s did not close: %v", service, err)
	}
	w.mu.Lock()
	delete(w.reserved, service)
	w.mu.Unlock()
	if len(w.living(service)) == 0 {
		w.startOne(service)
	}
}

// still runs f while none of the instances writes to its store: what was under
// way is done when virtual time goes on.
func (w *World) still(nodes []*Node, f func()) {
	for _, n := range nodes {
		n.Freeze()
	}
	time.Sleep(time.Millisecond)
	f()
	for _, n := range nodes {
		n.Thaw()
	}
}

// replica copies a service's store as it is now.
func (w *World) replica(service string) (path string) {
	w.mu.Lock()
	w.copies++
	from, path := w.storePath(service), fmt.Sprintf("%s.replica-%d", w.storePath(service), w.copies)
	w.mu.Unlock()
	w.still(w.living(service), func() {
		for _, suffix := range []string{"", "-wal"} {
			if _, err := os.Stat(from + suffix); err == nil {
				w.copyFile(from+suffix, path+suffix)
			}
		}
	})
	return path
}
