//go:build real

package redis_test

import (
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/cache/cachetest"
	"github.com/weirstream/weir/services/gateway/cache/redis"
	"github.com/weirstream/weir/streams/streamtest"
)

// flush empties the real server: it is the tests' own.
func flush(t *testing.T, address string) {
	t.Helper()
	o, err := goredis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	cl := goredis.NewClient(o)
	defer cl.Close()
	if err := cl.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestConformanceOfRedis(t *testing.T) {
	address := streamtest.Real(t, "redis")
	cachetest.Run(t, func(t *testing.T) cachetest.Place {
		flush(t, address)
		return cachetest.Place{Open: func() cache.Cache { return open(t, address, patient) }, Pass: time.Sleep}
	})
}

// After a restart Redis knows neither values nor scripts.
func TestRestartedEmpty(t *testing.T) {
	address := streamtest.Real(t, "redis")
	flush(t, address)
	c := open(t, address, patient)
	await(t, c)
	for range 9 {
		c.Take(t.Context(), "ada", slow)
	}
	if c.Take(t.Context(), "ada", slow).OK {
		t.Error("a token above the burst")
	}
	streamtest.Servers(t, "kill", "redis")
	for range 9 {
		c.Take(t.Context(), "ada", slow)
	}
	streamtest.Servers(t, "start", "redis")
	await(t, c)
	if g := c.Take(t.Context(), "ada", slow); !g.OK || g.Left != 4 {
		t.Errorf("the first token of an empty Redis is %+v, want one of a full bucket", g)
	}
}

// What every request costs that is limited and has a key.
func BenchmarkRedis(b *testing.B) {
	c, err := redis.Open(streamtest.Real(b, "redis"), redis.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for name, f := range map[string]func(){
		"Take": func() { c.Take(b.Context(), "ada", cache.Quota{PerSecond: 1e6, Burst: 1e6}) },
		"Get":  func() { c.Get(b.Context(), "o-1") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
