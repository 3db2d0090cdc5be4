package gateway_test

import (
	"fmt"
	"strings"
	"testing"
)

// One Idempotency-Key is one request, whichever lanes its contents would go to.
// Keys of two callers have nothing to do with one another, and nobody reads them
// in a history.
func TestOneKeyIsOneRequest(t *testing.T) {
	h := newHouse(t)
	h.serve()
	h.project()
	count := func(method, path string, body func(order string) string, headers ...string) map[int]int {
		t.Helper()
		statuses := map[int]int{}
		for n := range 8 {
			order := fmt.Sprint("o-", n)
			statuses[h.do(method, fmt.Sprintf(path, order), body(order), headers...).status]++
		}
		return statuses
	}
	placed := func(id string) string { return placement(id) }
	if got := count("POST", "/v1/orders%.0s", placed, "Idempotency-Key", "secret-key"); got[201] != 1 || got[409] != 7 {
		t.Errorf("eight orders under one key: %v, want one 201 and seven 409", got)
	}
	if r := h.do("POST", "/v1/orders", placement("p-1"), "Idempotency-Key", "secret-key", "X-Api-Key", "another"); r.status != 201 {
		t.Errorf("another caller's order under the same key: %d %s", r.status, r.raw)
	}
	for n := range 8 {
		h.do("POST", "/v1/orders", placement(fmt.Sprint("o-", n)), "Idempotency-Key", fmt.Sprint("own-", n))
	}
	if got := count("POST", "/v1/orders/%s/cancel", func(string) string { return "" }, "Idempotency-Key", "secret-key"); got[200] != 1 || got[409] != 7 {
		t.Errorf("cancels of eight orders under one key: %v, want one 200 and seven 409", got)
	}
	r := h.do("GET", "/v1/orders/o-0/history", "", "Weir-Token", h.do("POST", "/v1/orders", placement("o-0"), "Idempotency-Key", "secret-key").header.Get("Weir-Token"))
	if r.status != 200 || strings.Contains(r.raw, "secret-key") {
		t.Errorf("%d: the history shows the key: %s", r.status, r.raw)
	}
}
