package streams_test

import (
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// ages hears how old inputs from outside were.
type ages struct {
	mu  sync.Mutex
	all []time.Duration
}

func (a *ages) OnBatch(b streams.BatchInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, in := range b.Inputs {
		if in.Name == "bonus" {
			a.all = append(a.all, in.Age)
		}
	}
}

// How long an event from outside took us counts from when we had it: its sender may
// truthfully say that it is of last year, or of next.
func TestAgeIsFromWhenWeTookIt(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		heard := &ages{}
		c.Hooks = append(c.Hooks, heard)
		c.Start("front")
		c.Start("back")
		for i, at := range []time.Duration{-365 * 24 * time.Hour, 365 * 24 * time.Hour} {
			e := streams.Envelope{ID: string(rune('a' + i)), Type: "bonus", Version: 1, Source: "/bank", Time: time.Now().Add(at), Key: "acc-3", Data: []byte(`{"account":"acc-3","amount":1}`)}
			produce(t, c, e.Record("external.account", streams.Partition("acc-3", c.Partitions)))
		}
		time.Sleep(10 * time.Second)
		heard.mu.Lock()
		defer heard.mu.Unlock()
		if len(heard.all) != 2 {
			t.Fatalf("%d inputs were heard of", len(heard.all))
		}
		for _, age := range heard.all {
			if age < 0 || age > 10*time.Second {
				t.Errorf("an event is said to be %s old when it was taken", age)
			}
		}
	})
}
