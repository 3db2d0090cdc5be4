//go:build synctests

// franz-go holds a mutex over a join of its group, and a commit meanwhile waits
// for it: virtual time stands still unless its build tag synctests makes that
// mutex a channel. go test -tags synctests ./streams runs what needs it.

package streams_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams/streamtest"
)

// Instances of a pipeline join and leave while it works.
func TestPipelineIsShared(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		t.Run(fmt.Sprint("transactional ", transactional), func(t *testing.T) {
			inWatch(t, transactional, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
				ctx := context.Background()
				c.Start("front")
				n := c.Start("watchers")
				a := runPipe(c)
				book(ctx, t, c, 0, 50)
				b := runPipe(c)
				book(ctx, t, c, 50, 100)
				time.Sleep(5 * time.Second)
				a.end()
				book(ctx, t, c, 100, 150)
				d := runPipe(c)
				book(ctx, t, c, 150, 200)
				wantWatched(t, c, 200)
				b.end()
				d.end()
				deadLetters(t, c)
				caughtUp(t, c, n)
				if transactional {
					once(t, "watch.account", readAll(t, c, kgo.ReadCommitted(), "watch.account"), 200-least+1-2)
				}
			})
		})
	}
}
