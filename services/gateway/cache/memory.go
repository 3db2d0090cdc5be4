package cache

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// memoryBytes bounds each of the two generations of values and of buckets.
const memoryBytes = 8 << 20

// Memory is a Cache within a process. Invalidations of other processes do not
// reach it, and its quotas are this process's alone.
type Memory struct {
	now   func() time.Time
	began time.Time

	mu      sync.Mutex
	entries generations[entry]
	buckets generations[int64]
}

// entry is what a key holds: a value, or the mark of an Invalidate.
type entry struct {
	value   []byte
	mark    string
	expires int64
}

var _ Cache = (*Memory)(nil)

// NewMemory makes an empty cache. now is time.Now, or a test's clock.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, began: now()}
}

// clock is in microseconds, and does not follow changes of the time of day.
func (m *Memory) clock() int64 { return m.now().Sub(m.began).Microseconds() }

// Take implements Cache.
func (m *Memory) Take(_ context.Context, client string, q Quota) Grant {
	m.mu.Lock()
	defer m.mu.Unlock()
	full, _ := m.buckets.get(client)
	g, full := q.Take(m.clock(), full)
	m.buckets.put(client, full, len(client))
	return g
}

// Get implements Cache.
func (m *Memory) Get(_ context.Context, key string) ([]byte, Miss) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.held(key)
	return e.value, Miss{Key: key, Seen: e.mark, At: m.clock()}
}

func (m *Memory) held(key string) entry {
	e, _ := m.entries.get(key)
	if e.expires <= m.clock() {
		return entry{}
	}
	return e
}

// Put implements Cache.
func (m *Memory) Put(_ context.Context, miss Miss, value []byte, ttl time.Duration) {
	if miss.Key == "" || !Fits(value) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.held(miss.Key); e.value != nil || e.mark != miss.Seen {
		return
	}
	m.entries.put(miss.Key, entry{value: value, expires: miss.At + ttl.Microseconds()}, len(miss.Key)+len(value))
}

// Invalidate implements Cache.
func (m *Memory) Invalidate(_ context.Context, keys []string, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := entry{mark: rand.Text(), expires: m.clock() + ttl.Microseconds()}
	for _, k := range keys {
		m.entries.put(k, e, len(k))
	}
}

// Close implements Cache.
func (m *Memory) Close() error { return nil }

// generations are a map that forgets what was not put lately: once the young
// ones have grown to memoryBytes they become the old ones, and the old ones go.
type generations[V any] struct {
	young, old map[string]V
	bytes      int // of the young ones, about
}

// entryBytes is about what an entry takes beside its key and value.
const entryBytes = 150

func (g *generations[V]) get(key string) (V, bool) {
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	return v, ok
}

func (g *generations[V]) put(key string, v V, bytes int) {
	if g.bytes > memoryBytes || g.young == nil {
		g.old, g.young, g.bytes = g.young, map[string]V{}, 0
	}
	g.young[key] = v
	g.bytes += bytes + entryBytes
}
