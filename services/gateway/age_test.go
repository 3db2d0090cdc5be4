package gateway_test

import (
	"testing"
	"time"

	"github.com/weirstream/weir/services/gateway"
)

// Every answer from the read model says how old it may be, whatever it answers;
// what is not known is not called fresh.
func TestAnswersSayHowOldTheyAre(t *testing.T) {
	age, known := time.Duration(0), false
	h := newHouse(t, func(c *gateway.Config) { c.Age = func() (time.Duration, bool) { return age, known } })
	paths := []string{"/v1/orders", "/v1/orders/nobody", "/v1/orders/nobody/history", "/v1/sagas", "/v1/sagas/nobody", "/v1/skipped", "/v1/orders?state=odd"}
	for _, c := range []struct {
		age   time.Duration
		known bool
		want  string
	}{{0, false, "unknown"}, {0, true, "0"}, {300 * time.Millisecond, true, "1"}, {7 * time.Minute, true, "420"}} {
		age, known = c.age, c.known
		for _, path := range paths {
			if got := h.do("GET", path, "").header.Get(gateway.AgeHeader); got != c.want {
				t.Errorf("%s says that it is %q behind, want %q", path, got, c.want)
			}
		}
	}
	h.want(h.do("GET", "/v1/skipped", ""), 200, `{"items":[]}`)
}

// A name that nothing can have is a mistake of who asks, and no outage.
func TestNamesThatNothingHas(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/v1/orders/%00", "/v1/orders/a%00b/history", "/v1/sagas/%00", "/v1/sagas/%ff", "/v1/orders?customer=a%00b", "/v1/orders?after=a%00:b:1",
		"/v1/sagas?page=eyJOYW1lIjoiXHUwMDAwIn0"} {
		h.want(h.do("GET", path, ""), 400, "invalid-query")
	}
	h.want(h.do("GET", "/v1/orders", "", "Weir-Token", "order.order:order/0/\xff:1"), 400, "invalid-query")
}
