package ingest_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/services/ingest"
)

// A broker that takes a request and cuts the connection may have the record: who posted
// it is answered in time all the same.
func TestABrokerThatCutsConnections(t *testing.T) {
	h := newHouse(t, func(c *ingest.Config) { c.Timeout = 500 * time.Millisecond })
	h.post("application/cloudevents+json", structured("s1"))
	var away atomic.Bool
	away.Store(true)
	h.broker.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		h.broker.KeepControl()
		return nil, errors.New("cut"), away.Load()
	})
	back := time.AfterFunc(5*time.Second, func() { away.Store(false) }) // or it would hang
	defer back.Stop()
	r := h.post("application/cloudevents+json", structured("s2"))
	if !away.Swap(false) || r.status != 503 || len(r.Results) != 1 || r.Results[0].Status != ingest.Unavailable {
		t.Errorf("answer is %+v", r)
	}
}
