package ingest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/streams"
)

func TestTheTraceHook(t *testing.T) {
	statuses := make(chan int, 2)
	h := newHouse(t, func(c *ingest.Config) {
		c.Trace = func(*http.Request, string) (string, func(int, time.Duration)) {
			return strings.Replace(traceparent, "4bf9", "0000", 1), func(s int, _ time.Duration) { statuses <- s }
		}
	})
	h.post("application/cloudevents+json", structured("s1"), "traceparent", traceparent)
	h.post("application/cloudevents+json", "{")
	if a, b := <-statuses, <-statuses; a != 202 || b != 400 {
		t.Errorf("the hook heard %d and %d", a, b)
	}
	if e, err := streams.ReadEnvelope(h.records(1)[0]); err != nil || !strings.HasPrefix(e.Traceparent, "00-0000") {
		t.Errorf("the record's trace is %q (%v)", e.Traceparent, err)
	}
}

// What is sent again counts as repeated, so that nobody waits for it; its age is the
// sender's, and told beside.
func TestRepeatsAreCountedAsSuch(t *testing.T) {
	heard := make(chan string, 10)
	h := newHouse(t, func(c *ingest.Config) {
		c.Count = func(_, eventType string, s ingest.Status, age time.Duration) {
			heard <- fmt.Sprint(eventType, " ", s, " ", age)
		}
	})
	const year = `"time":"2025-01-02T00:00:00Z"` // before now
	for _, x := range []struct{ body, want string }{
		{structured("s1"), "stock.received accepted -1ns"},
		{structured("s1"), "stock.received repeated -1ns"},
		{structured("s2", year), "stock.received accepted 8760h0m0s"},
		{structured("s2", year), "stock.received repeated 8760h0m0s"},
		{strings.Replace(structured("s1"), "7", "8", 1), "stock.received conflict -1ns"},
		{strings.Replace(structured("s3"), "stock.received", "order.placed", 1), " refused -1ns"},
	} {
		h.post("application/cloudevents+json", x.body)
		if got := <-heard; got != x.want {
			t.Errorf("%s: counted %q, want %q", x.body, got, x.want)
		}
	}
}
