package cache

import (
	"fmt"
	"testing"
	"time"
)

// A flood of clients and keys costs a bounded amount of memory, and what was
// put just now is kept.
func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(time.Now)
	q := Quota{PerSecond: 0.001, Burst: 1}
	large := make([]byte, MaxValue)
	for i := range 200_000 {
		m.Take(t.Context(), fmt.Sprint("client ", i), q)
		if i%500 == 0 {
			_, miss := m.Get(t.Context(), fmt.Sprint("key ", i))
			m.Put(t.Context(), miss, large, time.Hour)
		}
	}
	if n := len(m.buckets.young) + len(m.buckets.old); n < 10_000 || n > 2*memoryBytes/entryBytes {
		t.Errorf("%d buckets are kept", n)
	}
	if n := len(m.entries.young) + len(m.entries.old); n < 100 || n > 2*(memoryBytes/MaxValue+1) {
		t.Errorf("%d large values are kept", n)
	}
	if m.Take(t.Context(), "client 199999", q).OK {
		t.Error("a client that has just been here is forgotten")
	}
	if v, _ := m.Get(t.Context(), "key 199500"); v == nil {
		t.Error("a value that has just been put is forgotten")
	}
}
