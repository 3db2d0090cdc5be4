// Package cachetest is the conformance suite of the cache: what the entrances
// rely on, whoever keeps it.
package cachetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway/cache"
)

// Place is where one test's cache is.
type Place struct {
	// Open gives a process's cache; all of them share what they keep.
	Open func() cache.Cache
	// Pass lets this time pass for the cache. Times are short, as a real server
	// has to be waited for, and long beside the microseconds of a question.
	Pass func(time.Duration)
}

// Run runs the suite. open makes a place for an empty cache, and closes what is
// opened there with the test.
func Run(t *testing.T, open func(t *testing.T) Place) {
	for name, f := range map[string]func(*bench){
		"a value is found until it expires":         value,
		"a value is put once":                       once,
		"a late value expires as early":             late,
		"an invalidated value is gone":              invalidated,
		"a slow reader does not put the old row":    slowReader,
		"nor after the mark is overwritten or gone": slowestReader,
		"an invalidation stops only earlier gets":   nextReader,
		"many keys are invalidated at once":         many,
		"readers race a writer":                     race,
		"values are bounded":                        bounded,
		"any bytes are a value, any text a key":     odd,
		"a miss that knows nothing puts nothing":    nothing,
		"a bucket gives its burst and no more":      burst,
		"a bucket fills again":                      refill,
		"a slow bucket tells the wait":              wait,
		"clients have buckets of their own":         clients,
		"processes share a bucket":                  shared,
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			f(&bench{T: t, Place: p, c: p.Open()})
		})
	}
}

// ttl of the suite's values, and how far apart times are that must differ. A
// bound of a few ticks fails only on a machine that stood still for one.
const (
	tick = 250 * time.Millisecond
	ttl  = 4 * tick
)

type bench struct {
	*testing.T
	Place
	c cache.Cache
}

func (b *bench) miss(key string) cache.Miss {
	b.Helper()
	v, m := b.c.Get(b.Context(), key)
	if v != nil {
		b.Fatalf("%q holds %q, want a miss", key, v)
	}
	return m
}

func (b *bench) want(key, value string) {
	b.Helper()
	if v, _ := b.c.Get(b.Context(), key); string(v) != value || (v == nil) != (value == "") {
		b.Fatalf("%q holds %q, want %q", key, v, value)
	}
}

func (b *bench) put(m cache.Miss, value string) { b.c.Put(b.Context(), m, []byte(value), ttl) }

func (b *bench) invalidate(keys ...string) { b.c.Invalidate(b.Context(), keys, ttl) }

func value(b *bench) {
	b.put(b.miss("o-1"), "placed")
	b.want("o-1", "placed")
	b.want("o-2", "")
	b.Pass(ttl - tick)
	b.want("o-1", "placed")
	b.Pass(2 * tick)
	b.want("o-1", "")
	b.put(b.miss("o-1"), "shipped")
	b.want("o-1", "shipped")
}

func once(b *bench) {
	first, second := b.miss("o-1"), b.miss("o-1")
	b.put(first, "first")
	b.put(second, "second")
	b.want("o-1", "first")
}

func late(b *bench) {
	early, other := b.miss("o-1"), b.miss("o-2")
	b.Pass(2 * tick)
	b.put(early, "placed")
	b.want("o-1", "placed")
	b.Pass(3 * tick) // more than ttl since the Get, less since the Put
	b.want("o-1", "")
	b.put(other, "placed")
	b.want("o-2", "")
}

func invalidated(b *bench) {
	b.put(b.miss("o-1"), "placed")
	b.put(b.miss("o-2"), "placed")
	b.invalidate("o-1")
	b.want("o-1", "")
	b.want("o-2", "placed")
}

func slowReader(b *bench) {
	m := b.miss("o-1")
	b.invalidate("o-1")
	b.put(m, "old")
	b.want("o-1", "")

	m = b.miss("o-1") // after a mark, as after nothing
	b.invalidate("o-1")
	b.put(m, "old")
	b.want("o-1", "")
}

func slowestReader(b *bench) {
	overwritten, left := b.miss("o-1"), b.miss("o-2")
	b.Pass(tick)
	b.invalidate("o-1", "o-2")
	b.put(b.miss("o-1"), "new")
	b.put(overwritten, "old")
	b.want("o-1", "new")
	b.Pass(ttl + tick) // both keys hold nothing again
	b.put(overwritten, "old")
	b.put(left, "old")
	b.want("o-1", "")
	b.want("o-2", "")
}

func nextReader(b *bench) {
	b.invalidate("o-1")
	b.put(b.miss("o-1"), "new")
	b.want("o-1", "new")
}

func many(b *bench) {
	const n = 2500
	keys, misses := make([]string, n), make([]cache.Miss, n)
	for i := range keys {
		keys[i] = fmt.Sprint("o-", i)
	}
	for i := 0; i < n; i += 499 {
		misses[i] = b.miss(keys[i])
	}
	b.invalidate(keys...)
	for i := 0; i < n; i += 499 {
		b.put(misses[i], "old")
		b.want(keys[i], "")
	}
	b.invalidate()
}

// race lets readers cache a row that a writer changes: what they find is never
// older than the row was when its last invalidation had been done.
func race(b *bench) {
	var row, done atomic.Int64 // the row's value, and the last that was invalidated
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	const enough = 100
	var hits atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		c := b.Open()
		wg.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(time.Microsecond) // a writer needs the cores too
				least := done.Load()
				v, m := c.Get(b.Context(), "o-1")
				if v == nil {
					c.Put(b.Context(), m, fmt.Append(nil, row.Load()), ttl)
					continue
				}
				hits.Add(1)
				var got int64
				if _, err := fmt.Sscan(string(v), &got); err != nil || got < least {
					b.Errorf("found %s, when %d had been invalidated", v, least)
					cancel()
				}
			}
		})
	}
	for ctx.Err() == nil && (hits.Load() < enough || row.Load() < enough) {
		n := row.Add(1)
		b.invalidate("o-1")
		done.Store(n)
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	if hits.Load() < enough || row.Load() < enough {
		b.Errorf("%d hits and %d changes are too few to prove anything", hits.Load(), row.Load())
	}
}

func bounded(b *bench) {
	large := bytes.Repeat([]byte("x"), cache.MaxValue)
	b.put(b.miss("fits"), string(large))
	b.want("fits", string(large))
	b.put(b.miss("too large"), string(large)+"x")
	b.want("too large", "")
	b.put(b.miss("empty"), "")
	b.want("empty", "")
}

func odd(b *bench) {
	for _, s := range []string{"-", "=", "\x00", "nil", "1", "é\xff\r\n"} {
		b.put(b.miss(s), s)
		b.want(s, s)
	}
}

func nothing(b *bench) {
	b.put(cache.Miss{}, "placed")
	b.want("", "")
}

// slow is a bucket whose tokens do not come back within a test.
var slow = cache.Quota{PerSecond: 0.001, Burst: 5}

func (b *bench) take(client string, q cache.Quota, n int) (granted int) {
	for range n {
		if b.c.Take(b.Context(), client, q).OK {
			granted++
		}
	}
	return granted
}

func burst(b *bench) {
	for i := range int64(5) {
		if g := b.c.Take(b.Context(), "ada", slow); !g.OK || g.Left != 4-i || g.Wait != 0 {
			b.Errorf("token %d is %+v", i, g)
		}
	}
	if n := b.take("ada", slow, 20); n != 0 {
		b.Errorf("%d tokens above the burst", n)
	}
	// A third of a second is no whole number of microseconds, and still the
	// last token is there.
	if g := b.take("bob", cache.Quota{PerSecond: 0.003, Burst: 1000}, 1001); g != 1000 {
		b.Errorf("%d of 1000 tokens", g)
	}
	if n := b.take("eve", cache.Quota{PerSecond: 0.4}, 9); n != 1 {
		b.Errorf("%d tokens of a bucket of the least size, want 1", n)
	}
}

func refill(b *bench) {
	q := cache.Quota{PerSecond: 4, Burst: 4} // a token a tick
	if n := b.take("ada", q, 9); n != 4 {
		b.Fatalf("%d tokens of a full bucket, want 4", n)
	}
	b.Pass(2*tick + tick/2)
	if n := b.take("ada", q, 9); n != 2 {
		b.Errorf("%d tokens after two steps, want 2", n)
	}
	b.Pass(6 * tick)
	if n := b.take("ada", q, 9); n != 4 {
		b.Errorf("%d tokens after a long time, want a full bucket of 4", n)
	}
}

func wait(b *bench) {
	b.take("ada", slow, 5)
	if g := b.c.Take(b.Context(), "ada", slow); g.OK || g.Left != 0 || g.Wait > 1000*time.Second || g.Wait < 990*time.Second {
		b.Errorf("without a token: %+v, want a wait of a little less than 1000 s", g)
	}
}

func clients(b *bench) {
	b.take("ada", slow, 9)
	if n := b.take("bob", slow, 9); n != 5 {
		b.Errorf("bob got %d tokens after ada took hers, want 5", n)
	}
}

func shared(b *bench) {
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		c := b.Open()
		wg.Go(func() {
			for range 10 {
				if c.Take(b.Context(), "ada", slow).OK {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := granted.Load(); n != 5 {
		b.Errorf("four processes got %d tokens together, want 5", n)
	}
}
