package mongo

import "sync"

// keptDocs bounds the documents of a collection that a writer remembers; twice as
// many at most.
const keptDocs = 10_000

// kept are the documents that this process has written last, so that it need not
// ask for them. They may be old: another process may have written since, and a
// swap finds that out.
type kept[P any] struct {
	mu         sync.Mutex
	young, old map[string]P
}

// take gives a document away: it is in the hands of the caller until it is kept
// again, and gone if that fails.
func (k *kept[P]) take(id string) (d P, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d, ok = k.young[id]; !ok {
		d, ok = k.old[id]
	}
	delete(k.young, id)
	delete(k.old, id)
	return d, ok
}

func (k *kept[P]) keep(id string, d P) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= keptDocs || k.young == nil {
		k.young, k.old = map[string]P{}, k.young
	}
	k.young[id] = d
}
