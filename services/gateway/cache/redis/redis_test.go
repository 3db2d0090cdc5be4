package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/cache/cachetest"
	"github.com/weirstream/weir/services/gateway/cache/redis"
)

// open opens a cache until the test ends.
func open(t *testing.T, address string, o redis.Options) *redis.Cache {
	t.Helper()
	c, err := redis.Open(address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// patient does without Redis only if it is away, not if the machine is busy.
var patient = redis.Options{Patience: 20 * time.Second}

// standing is a server of the wire whose clock stands until it is told to move.
func standing(t *testing.T) (address string, pass func(time.Duration)) {
	m := miniredis.RunT(t)
	now := time.Unix(1_800_000_000, 123_456_789)
	m.SetTime(now)
	m.ClockTTL(true)
	return "redis://" + m.Addr() + "/0", func(d time.Duration) {
		now = now.Add(d)
		m.SetTime(now)
	}
}

func TestConformanceOnTheWire(t *testing.T) {
	cachetest.Run(t, func(t *testing.T) cachetest.Place {
		address, pass := standing(t)
		return cachetest.Place{Open: func() cache.Cache { return open(t, address, patient) }, Pass: pass}
	})
}

// lines is a log that a test reads.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var slow = cache.Quota{PerSecond: 0.001, Burst: 5}

// A server that is away costs little time, grants the quota once more, and is
// logged once.
func TestAwayMeansAloneAndNotSlow(t *testing.T) {
	m := miniredis.RunT(t)
	log := &lines{}
	c := open(t, "redis://:hunter2@"+m.Addr()+"/0", redis.Options{Patience: patient.Patience, Log: slog.New(slog.NewTextHandler(log, nil))})
	m.RequireAuth("hunter2")
	for range 5 {
		if !c.Take(t.Context(), "ada", slow).OK {
			t.Fatal("no token of a full bucket")
		}
	}
	_, miss := c.Get(t.Context(), "o-1")
	addr := m.Addr()
	m.Close()

	began, granted := time.Now(), 0
	for range 300 {
		if c.Take(t.Context(), "ada", slow).OK {
			granted++
		}
		c.Put(t.Context(), miss, []byte("placed"), time.Minute)
		c.Invalidate(t.Context(), []string{"o-1"}, time.Minute)
		if v, m := c.Get(t.Context(), "o-1"); v != nil || m.Key != "" {
			t.Fatalf("away, it finds %q and a miss to put: %+v", v, m)
		}
	}
	if granted != 5 {
		t.Errorf("%d tokens, want a bucket of its own, of 5", granted)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("1200 questions took %v", took)
	}

	time.Sleep(1200 * time.Millisecond)
	c.Get(t.Context(), "o-1") // tries again, which is not another outage
	if err := m.StartAddr(addr); err != nil {
		t.Fatal(err)
	}
	await(t, c)
	if got := strings.Count(log.String(), "does not answer"); got != 1 || strings.Count(log.String(), "answers again") != 1 {
		t.Errorf("want one line at the beginning and one at the end of the outage:\n%s", log)
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has the password:\n%s", log)
	}
}

// await waits until what is put is found.
func await(t *testing.T, c cache.Cache) {
	t.Helper()
	for range 100 {
		_, m := c.Get(t.Context(), "await")
		c.Put(t.Context(), m, []byte("there"), time.Minute)
		if v, _ := c.Get(t.Context(), "await"); v != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the cache does not come back")
}

// A server that takes connections and says nothing costs its patience three
// times, and once a second from then on.
func TestSilenceIsNotWaitedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // the backlog takes connections, and nobody reads
	c := open(t, "redis://"+l.Addr().String(), redis.Options{})
	began := time.Now()
	for range 300 {
		c.Get(t.Context(), "o-1")
	}
	if took := time.Since(began); took < 140*time.Millisecond || took > 3*time.Second {
		t.Errorf("300 questions took %v, want about 150 ms", took)
	}
}

// A Redis that has taken over from another one may have an earlier clock: no
// bucket is emptier than empty for that, and no value lives longer.
func TestTheClockGoesBack(t *testing.T) {
	address, pass := standing(t)
	c := open(t, address, patient)
	q := cache.Quota{PerSecond: 1, Burst: 5}
	for range 5 {
		c.Take(t.Context(), "ada", q)
	}
	_, miss := c.Get(t.Context(), "o-1")
	pass(-time.Hour)
	c.Put(t.Context(), miss, []byte("placed"), time.Second)
	if g := c.Take(t.Context(), "ada", q); g.OK || g.Wait != time.Second {
		t.Errorf("an hour before: %+v, want an empty bucket", g)
	}
	pass(time.Second)
	if g := c.Take(t.Context(), "ada", q); !g.OK || g.Left != 0 {
		t.Errorf("a second later: %+v, want the token that came back", g)
	}
	if v, _ := c.Get(t.Context(), "o-1"); v != nil {
		t.Errorf("%s is found a second later", v)
	}
}

func TestBadAddress(t *testing.T) {
	for _, a := range []string{"", "http://:hunter2@x", "redis://x:hunter2@y:port/1", "redis://x:hunter2@y/z"} {
		if c, err := redis.Open(a, redis.Options{}); err == nil || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%q opens %v, %v", a, c, err)
		}
	}
}

// Who hangs up does not make Redis count as away.
func TestAQuestionGivenUpIsNoOutage(t *testing.T) {
	log := &lines{}
	address, _ := standing(t)
	c := open(t, address, redis.Options{Patience: patient.Patience, Log: slog.New(slog.NewTextHandler(log, nil))})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		c.Get(gone, "o-1")
	}
	await(t, c)
	if log.String() != "" {
		t.Errorf("logged:\n%s", log)
	}
}
