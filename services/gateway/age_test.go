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
