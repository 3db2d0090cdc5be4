//go:build real

package gateway_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/cache/redis"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams/streamtest"
)

// with gives a gateway its own connection to Redis, as another process has.
func with(t *testing.T, address string) func(*gateway.Config) {
	c, err := redis.Open(address, redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(cfg *gateway.Config) {
		cfg.Documents, cfg.Replies, cfg.Limit = c, c, edge.Limit{Buckets: c, Quota: cache.Quota{PerSecond: 1e5, Burst: 1e5}}
		cfg.Incarnation = func(string) string { return t.Name() }
		cfg.Timeout, cfg.Wait = 20*time.Second, 20*time.Second
	}
}

// second is another gateway before the same lanes and rows.
func (h *house) second(change func(*gateway.Config)) *house {
	h.t.Helper()
	cfg := gateway.Config{Business: shop.Business, Commands: h.cluster.Commands, Topology: h.cluster.Topology, Partitions: 2, Reads: h.reads}
	change(&cfg)
	handler, err := gateway.New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	other := *h
	other.url = h.listen(handler)
	return &other
}

// Redis is killed, comes back empty and hangs while clients place and cancel
// orders, each request twice, over two gateways: all are answered, and alike,
// the own write is always read, and every order is placed once.
func TestRedisComesAndGoes(t *testing.T) {
	address := streamtest.Real(t, "redis")
	a := newHouse(t, with(t, address))
	a.serve()
	a.project()
	b := a.second(with(t, address))

	var phase atomic.Int64
	var mu sync.Mutex
	took := map[int64][]time.Duration{} // of placements, by phase
	placed := map[string]bool{}         // and whether they were cancelled
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id, now, began := fmt.Sprintf("o-%d-%d-%d", time.Now().UnixNano(), n, i), phase.Load(), time.Now()
				token := a.twice(b, "/v1/orders", placement(id), "k-"+id, 201)
				lasted := time.Since(began)
				b.want(b.do("GET", "/v1/orders/"+id, "", "Weir-Token", token), 200, `"state":"placed"`)
				b.want(b.do("GET", "/v1/orders/"+id, ""), 200, `"order":"`+id+`"`)
				if i%2 == 1 {
					token = b.twice(a, "/v1/orders/"+id+"/cancel", "", "k-"+id, 200)
					a.want(a.do("GET", "/v1/orders/"+id, "", "Weir-Token", token), 200, `"state":"cancelled"`)
				}
				mu.Lock()
				took[now], placed[id] = append(took[now], lasted), i%2 == 1
				mu.Unlock()
			}
		})
	}
	for i, verb := range []string{"", "kill", "start", "pause", "resume"} {
		if verb != "" {
			streamtest.Servers(t, verb, "redis")
		}
		phase.Store(int64(i))
		time.Sleep(2500 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	for i, what := range []string{"there", "killed", "empty", "hanging", "resumed"} {
		d := took[int64(i)]
		if len(d) < 5 {
			t.Fatalf("while Redis was %s only %d orders were placed", what, len(d))
		}
		slices.Sort(d)
		t.Logf("Redis %-8s %4d orders placed, twice each: median %v, longest %v", what, len(d), d[len(d)/2], d[len(d)-1])
		if d[len(d)-1] > 5*time.Second {
			t.Errorf("while Redis was %s a placement took %v", what, d[len(d)-1])
		}
	}
	a.onceEach(placed)
}

// twice sends a command, and again to the other gateway, and returns the token.
func (h *house) twice(other *house, path, body, key string, status int) string {
	h.t.Helper()
	first := h.do("POST", path, body, "Idempotency-Key", key)
	h.want(first, status, `"order"`)
	again := other.do("POST", path, body, "Idempotency-Key", key)
	if token := first.header.Get("Weir-Token"); again.status != status || again.raw != first.raw || again.header.Get("Weir-Token") != token || token == "" {
		h.t.Errorf("%s %s is answered %+v, and then %+v", path, key, first, again)
	}
	return first.header.Get("Weir-Token")
}

// onceEach counts what happened to each order, and waits until it is told
// without a token too.
func (h *house) onceEach(placed map[string]bool) {
	h.t.Helper()
	for id, cancelled := range placed {
		count := map[any]int{}
		for _, e := range h.do("GET", "/v1/orders/"+id+"/history", "").body["events"].([]any) {
			count[e.(map[string]any)["type"]]++
		}
		if count["order.placed"] != 1 || (count["order.cancelled"] == 1) != cancelled || count["order.cancelled"] > 1 {
			h.t.Errorf("order %s, cancelled %v: %v", id, cancelled, count)
		}
	}
	time.Sleep(5 * time.Second) // what the outages left in the cache is gone by then
	for id, cancelled := range placed {
		state := map[bool]string{true: "cancelled", false: "placed"}[cancelled]
		h.want(h.do("GET", "/v1/orders/"+id, ""), 200, `"state":"`+state+`"`)
	}
}
