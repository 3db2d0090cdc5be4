package gateway_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams"
)

// Many requests at once are more than a lane has room for, and it has done them in a
// moment: one client's burst is no outage.
func TestABurstIsNoOutage(t *testing.T) {
	h := newHouse(t, func(c *gateway.Config) { c.Timeout = 10 * time.Second })
	h.serve()
	h.want(h.do("POST", "/v1/orders/o-none/cancel", ""), 404, "unknown-order")
	var wg sync.WaitGroup
	var others atomic.Int32
	begin := make(chan struct{})
	for range 4 * streams.QueueDepth {
		wg.Go(func() {
			<-begin
			w := httptest.NewRecorder()
			if h.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/orders/o-none/cancel", nil)); w.Code != http.StatusNotFound {
				others.Add(1)
			}
		})
	}
	close(begin)
	wg.Wait()
	if n := others.Load(); n > 0 {
		t.Errorf("%d of %d were not answered 404", n, 4*streams.QueueDepth)
	}
}

// hangs is a store that does not answer whether it holds something.
type hangs struct{ projection.Store }

func (hangs) Holds(ctx context.Context, _ streams.Token) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// A store that hangs is our failure, and not that the client asked too early.
func TestAReadModelThatHangs(t *testing.T) {
	statuses, waits := make(chan int, 9), make(chan time.Duration, 9)
	h := newHouse(t, func(c *gateway.Config) {
		c.Reads = projection.New(hangs{c.Reads.Store})
		c.Trace = func(*http.Request, string) (string, func(int, time.Duration)) {
			return traceparent, func(status int, waited time.Duration) { statuses <- status; waits <- waited }
		}
	})
	h.want(h.do("GET", "/v1/orders/o-1?after=order.order:order/0/o-1:1", ""), 503, "read-model-unavailable")
	if status, waited := <-statuses, <-waits; status != 503 || waited > 100*time.Millisecond {
		t.Errorf("told %d, of which the client had wanted to wait %s", status, waited)
	}
}
