// Package redis shares the cache between processes through Redis 7. Redis may
// forget everything at any time, and needs no disk.
//
// While Redis is away nothing is cached, and each process counts quotas by
// itself: a client of n processes has n buckets then.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sony/gobreaker/v2"

	"github.com/weirstream/weir/services/gateway/cache"
)

const (
	// trips is how many questions in a row go wrong until Redis counts as away;
	// pause is how long nobody asks it then, until one tries again.
	trips = 3
	pause = time.Second
	// atOnce bounds the keys of one script: Redis does nothing else meanwhile.
	atOnce = 1000
)

// Options change how Redis is asked. The zero value of each is usable.
type Options struct {
	// Patience is how long one question may take, dialling included; 50 ms if 0.
	Patience time.Duration
	Log      *slog.Logger // of outages; discards if nil
}

// Cache is a cache.Cache in Redis.
type Cache struct {
	Options
	client  *goredis.Client
	breaker *gobreaker.CircuitBreaker[[]any]
	failure atomic.Value // the last error, for the log
	alone   *cache.Memory
}

var _ cache.Cache = (*Cache)(nil)

// Open prepares the cache for a server at a URL: redis:// or rediss://, with
// user, password and the number of the database. It does not wait for the
// server. Platforms that share a server need databases of their own.
func Open(address string, o Options) (*Cache, error) {
	server, err := goredis.ParseURL(address)
	if err != nil {
		return nil, errors.New("the address of Redis is not of the form redis://user:password@host:port/database") // without it: it holds a password
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Patience == 0 {
		o.Patience = 50 * time.Millisecond
	}
	o.Log = o.Log.With("redis", server.Addr)
	limit(server, o.Patience)
	logging.Disable() // go-redis prints every failed dial to standard error
	c := &Cache{Options: o, client: goredis.NewClient(server), alone: cache.NewMemory(time.Now)}
	c.breaker = gobreaker.NewCircuitBreaker[[]any](gobreaker.Settings{Timeout: pause, OnStateChange: c.note,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= trips },
		IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) }}) // who asked has gone
	return c, nil
}

// limit makes the client give up instead of trying again: go-redis itself dials
// five times and asks four times, with pauses of up to half a second, and a
// script that was not answered may have run.
func limit(o *goredis.Options, patience time.Duration) {
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = patience, patience, patience, patience
	o.ContextTimeoutEnabled = true
	o.DialerRetries, o.MaxRetries = 1, -1
	o.PipelinePoolSize = -1 // there are no pipelines
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // of Redis Cloud
}

// note logs the beginning and the end of an outage; the tries in between are
// changes from and to half-open.
func (c *Cache) note(_ string, from, to gobreaker.State) {
	switch {
	case from == gobreaker.StateClosed:
		c.Log.Warn("Redis does not answer: nothing is cached, and quotas are counted in each process, until it does", "error", c.failure.Load())
	case to == gobreaker.StateClosed:
		c.Log.Info("Redis answers again")
	}
}

// ask runs a script. It is false if Redis is away or did not answer in time:
// nothing is known of what the script did then.
func (c *Cache) ask(ctx context.Context, s *goredis.Script, keys []string, args ...any) ([]any, bool) {
	answer, err := c.breaker.Execute(func() ([]any, error) {
		ctx, cancel := context.WithTimeout(ctx, c.Patience)
		defer cancel()
		v, err := s.Run(ctx, c.client, keys, args...).Slice()
		if err != nil {
			c.failure.Store(err.Error())
		}
		return v, err
	})
	return answer, err == nil
}

// Keys of Redis. Clients and keys are the caller's to bound.
const (
	bucketPrefix = "weir:quota:"
	valuePrefix  = "weir:cache:"
)

// Take implements cache.Cache. While Redis is away the bucket is this
// process's own, and begins full.
func (c *Cache) Take(ctx context.Context, client string, q cache.Quota) cache.Grant {
	v, ok := c.ask(ctx, takeScript, []string{bucketPrefix + client}, q.Step(), q.Size())
	if !ok || len(v) != 3 {
		return c.alone.Take(ctx, client, q)
	}
	return cache.Grant{OK: number(v[0]) == 1, Left: number(v[1]), Wait: time.Duration(number(v[2])) * time.Microsecond}
}

// Get implements cache.Cache.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, cache.Miss) {
	v, ok := c.ask(ctx, getScript, []string{valuePrefix + key})
	if !ok || len(v) != 2 {
		return nil, cache.Miss{}
	}
	held, _ := v[1].(string) // nil if there is nothing
	if len(held) > 0 && held[0] == valueTag {
		return []byte(held[1:]), cache.Miss{}
	}
	return nil, cache.Miss{Key: key, Seen: held, At: number(v[0])}
}

// Put implements cache.Cache.
func (c *Cache) Put(ctx context.Context, m cache.Miss, value []byte, ttl time.Duration) {
	if m.Key == "" || !cache.Fits(value) {
		return
	}
	c.ask(ctx, putScript, []string{valuePrefix + m.Key}, m.Seen, m.At, ttl.Microseconds(), string(valueTag)+string(value))
}

// Invalidate implements cache.Cache.
func (c *Cache) Invalidate(ctx context.Context, keys []string, ttl time.Duration) {
	mark := string(markTag) + rand.Text()
	for some := range slices.Chunk(keys, atOnce) {
		named := make([]string, len(some))
		for i, k := range some {
			named[i] = valuePrefix + k
		}
		c.ask(ctx, invalidateScript, named, mark, ttl.Milliseconds())
	}
}

// Close implements cache.Cache.
func (c *Cache) Close() error { return c.client.Close() }

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

// Ping tells whether Redis answers.
func (c *Cache) Ping(ctx context.Context) error { return c.client.Ping(ctx).Err() }
