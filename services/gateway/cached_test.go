package gateway_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/edge"
)

// still is a cache whose clock stands still: nothing in it expires.
func still() cache.Cache { return cache.NewMemory(func() time.Time { return time.Unix(0, 0) }) }

func cached(c *gateway.Config) {
	c.Documents, c.Replies, c.Incarnation = still(), still(), func(string) string { return "first" }
}

func TestOrdersAreReadOnce(t *testing.T) {
	h := newHouse(t, cached)
	h.serve()
	h.project()
	token := h.do("POST", "/v1/orders", placement("o-1")).header.Get("Weir-Token")
	h.want(h.do("GET", "/v1/orders/o-2", ""), 404, "not-found")
	read := h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token)
	h.want(read, 200, `"state":"placed"`)
	h.want(h.do("GET", "/v1/orders/o-1", ""), 200, `"state":"placed"`) // and keeps it

	// A change drops it: the clock stands, so nothing else does.
	token = h.do("POST", "/v1/orders/o-1/cancel", "").header.Get("Weir-Token")
	h.want(h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token), 200, `"state":"cancelled"`)
	var fresh reply
	for range 100 { // until the change is told, just after it is written
		if fresh = h.do("GET", "/v1/orders/o-1", ""); strings.Contains(fresh.raw, "cancelled") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	h.want(fresh, 200, `"state":"cancelled"`)
	// That nobody had read it does not matter either: what is unknown is not kept.
	h.do("POST", "/v1/orders", placement("o-2"))
	h.want(h.do("GET", "/v1/orders/o-2?after="+h.do("POST", "/v1/orders/o-2/cancel", "").header.Get("Weir-Token"), ""), 200, "o-2")
	h.want(h.do("GET", "/v1/orders/o-2", ""), 200, "o-2")

	if h.reads.Close(); true {
		again := h.do("GET", "/v1/orders/o-1", "")
		if again.raw != fresh.raw || again.header.Get("Cache-Control") != "no-store" {
			t.Errorf("from the cache:\n%v %s\nfrom the read model:\n%v %s", again.header, again.raw, fresh.header, fresh.raw)
		}
		h.want(h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token), 503, "read-model-unavailable")
		h.want(h.do("GET", "/v1/orders/o-1?after="+token, ""), 503, "read-model-unavailable")
		h.want(h.do("GET", "/v1/orders/o-1/history", ""), 503, "read-model-unavailable")
	}
}

// What the cache did not hear of is old until it expires, but not for who asks
// with a token.
func TestATokenIsNotAnsweredFromTheCache(t *testing.T) {
	var passed atomic.Int64
	orders := cache.NewMemory(func() time.Time { return time.Unix(0, passed.Load()) })
	h := newHouse(t, func(c *gateway.Config) { c.Documents = orders })
	h.cache = nil // whoever projects does not tell
	h.serve()
	h.project()
	token := h.do("POST", "/v1/orders", placement("o-1")).header.Get("Weir-Token")
	h.want(h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token), 200, "placed")
	h.want(h.do("GET", "/v1/orders/o-1", ""), 200, `"state":"placed"`)
	token = h.do("POST", "/v1/orders/o-1/cancel", "").header.Get("Weir-Token")
	h.want(h.do("GET", "/v1/orders/o-1", "", "Weir-Token", token), 200, `"state":"cancelled"`)
	h.want(h.do("GET", "/v1/orders/o-1?after="+token, ""), 200, `"state":"cancelled"`)
	h.want(h.do("GET", "/v1/orders/o-1", ""), 200, `"state":"placed"`)
	passed.Add(int64(5 * time.Second))
	h.want(h.do("GET", "/v1/orders/o-1", ""), 200, `"state":"cancelled"`)
}

func TestRepliesAreRemembered(t *testing.T) {
	h := newHouse(t, cached)
	n := h.serve()
	place := func(key, body string) reply { return h.do("POST", "/v1/orders", body, "Idempotency-Key", key) }
	other := strings.Replace(placement("o-1"), "255", "256", 1)
	done, rejected := place("k1", placement("o-1")), place("k2", other)
	h.want(done, 201, "placed")
	h.want(rejected, 409, "order-exists")
	conflict := place("k2", placement("o-1"))
	h.want(conflict, 409, "idempotency-conflict")
	cancelled := h.do("POST", "/v1/orders/o-1/cancel", "", "Idempotency-Key", "k1")
	h.want(cancelled, 200, "cancelled")

	n.Freeze() // whoever is answered now was not answered by the lane
	same := func(what string, got, want reply) {
		t.Helper()
		if got.status != want.status || got.raw != want.raw || got.header.Get("Weir-Token") != want.header.Get("Weir-Token") || got.header.Get("Location") != want.header.Get("Location") {
			t.Errorf("%s is answered %+v, want %+v", what, got, want)
		}
	}
	same("a placement again", place("k1", placement("o-1")), done)
	same("a rejection again", place("k2", other), rejected)
	same("a cancel again", h.do("POST", "/v1/orders/o-1/cancel", "", "Idempotency-Key", "k1"), cancelled)
	h.want(place("k1", other), 503, "not known") // another content is the lane's to judge
	h.want(place("k3", placement("o-1")), 503, "not known")
	h.want(h.do("POST", "/v1/orders", placement("o-1")), 503, "not known") // without a key
	n.Thaw()
	h.want(place("k1", other), 409, "idempotency-conflict")
	same("after a conflict", place("k1", placement("o-1")), done)
}

// A restored store has forgotten answers: they must not be given in its name.
func TestAnotherStoreHasOtherAnswers(t *testing.T) {
	store := "first"
	h := newHouse(t, cached, func(c *gateway.Config) { c.Incarnation = func(string) string { return store } })
	n := h.serve()
	place := func() reply { return h.do("POST", "/v1/orders", placement("o-1"), "Idempotency-Key", "k1") }
	h.want(place(), 201, "placed")
	n.Freeze()
	h.want(place(), 201, "placed")
	for _, store = range []string{"second", ""} {
		h.want(place(), 503, "not known")
	}
}

func TestCommandsAreLimited(t *testing.T) {
	h := newHouse(t, func(c *gateway.Config) {
		c.Limit = edge.Limit{Buckets: still(), Quota: cache.Quota{PerSecond: 0.4, Burst: 2}}
	})
	h.serve()
	first := h.do("POST", "/v1/orders", placement("o-1"))
	h.want(first, 201, "placed")
	if first.header.Get("RateLimit") != `"client";r=1` || first.header.Get("RateLimit-Policy") != `"client";q=2;w=5` {
		t.Errorf("headers are %v", first.header)
	}
	h.want(h.do("POST", "/v1/orders/o-1/cancel", ""), 200, "cancelled")
	for _, path := range []string{"/v1/orders", "/v1/orders/o-1/cancel"} {
		r := h.do("POST", path, placement("o-2"))
		h.want(r, http.StatusTooManyRequests, "too-many-requests")
		if r.header.Get("Retry-After") != "3" || r.header.Get("RateLimit") != `"client";r=0` { // 2.5 s, rounded up
			t.Errorf("headers are %v", r.header)
		}
	}
	h.want(h.do("POST", "/v1/orders", placement("o-2"), "X-Api-Key", "another"), 201, "placed")
	h.want(h.do("GET", "/v1/orders", ""), 200, "items") // questions are not
}
