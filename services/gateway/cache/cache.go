// Package cache keeps what the HTTP entrances may forget: answers that can be
// had again, more slowly, and how much each client has asked lately. Memory
// keeps it in this process, cache/redis shares it between processes.
//
// The truth is elsewhere: replies to commands in the event stores, documents
// in the read model. A cache that has lost everything, or is away, makes answers
// slower and no answer wrong.
package cache

import (
	"context"
	"math"
	"time"
)

// MaxValue bounds a value, in bytes; what is larger is not kept.
const MaxValue = 64 << 10

// Cache is the port; cachetest holds the suite that every implementation
// passes. No method fails: what a cache cannot do is left undone, and the
// implementation logs why, once an outage. None waits long.
//
// The danger of a cache is the slow reader: it misses, reads the old row, the
// row changes, the key is invalidated, and then the old row is put, to stay.
// So a Put comes with the Miss of its Get, and is done only if the key still
// holds what that Get saw; every Invalidate leaves a mark there that nobody has
// seen before. The mark is gone after ttl, or when a later reader has put the
// new row, which is gone after ttl too; but by then the slow reader is too late,
// as a value lives for ttl from the Get that missed it, and is not even put
// later than that.
//
// What is lost (the cache was away, or restarted empty between a Get and its
// Put) is made good by the same clock: no value is found later than ttl after
// the Get that missed it.
type Cache interface {
	// Take takes a token out of a client's bucket, if there is one.
	Take(ctx context.Context, client string, q Quota) Grant
	// Get finds a value, which nobody may change. A nil value is a miss, which
	// Put wants back.
	Get(ctx context.Context, key string) ([]byte, Miss)
	// Put keeps a value until ttl after the Get that missed it. All values of a
	// key have the same ttl. An empty value is not kept, as one above MaxValue.
	Put(ctx context.Context, m Miss, value []byte, ttl time.Duration)
	// Invalidate drops values, and those that readers are about to put. ttl is
	// that of the keys' values.
	Invalidate(ctx context.Context, keys []string, ttl time.Duration)
	// Close ends the cache. Nobody may use it any more.
	Close() error
}

// Fits tells whether a value may be kept.
func Fits(value []byte) bool { return len(value) > 0 && len(value) <= MaxValue }

// Miss is what a Get saw that found no value. The zero Miss knows nothing, as
// the cache was away: its Put does nothing.
type Miss struct {
	Key  string
	Seen string // what the key held: nothing, or the mark of an Invalidate
	At   int64  // when, in microseconds of the cache's own clock
}

// Quota is a token bucket: a request takes a token, and is refused if there is
// none.
type Quota struct {
	PerSecond float64 // tokens that come back; 0: no bound
	Burst     int     // tokens of a full bucket; what comes back in a second if 0, at least 1
}

// Size is how many tokens a full bucket has.
func (q Quota) Size() int64 {
	if q.Burst > 0 {
		return int64(q.Burst)
	}
	return max(1, int64(math.Ceil(q.PerSecond)))
}

// Step is how many microseconds a token takes to come back.
func (q Quota) Step() int64 { return max(1, int64(math.Round(1e6/q.PerSecond))) }

// Grant says whether a request may go on.
type Grant struct {
	OK   bool
	Left int64         // tokens that are still in the bucket
	Wait time.Duration // until there is one, if not OK
}

// Take takes a token out of a bucket. A bucket is one number: the time when it
// is full again, in microseconds. It returns the bucket as it is then.
func (q Quota) Take(now, full int64) (Grant, int64) {
	size := q.Size() * q.Step()
	full = max(now, full)
	over := full + q.Step() - now - size
	if over > 0 {
		return Grant{Wait: time.Duration(over) * time.Microsecond}, full
	}
	full += q.Step()
	return Grant{OK: true, Left: (now + size - full) / q.Step()}, full
}
