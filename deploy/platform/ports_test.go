package platform

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A process is ready when all that it cannot do without has answered, and is not
// while one of it does not; the cache is only told of.
func TestReadinessIncludesEveryPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var away [3]atomic.Bool
		p := ports{failed: map[string]error{}}
		done := make(chan bool)
		ports := []string{"log", "commands", cachePort}
		for _, name := range ports {
			p.failed[name] = errNotAsked
		}
		want := func(when string, unwell, weak []string) {
			t.Helper()
			if a, b := p.unwell(), p.weak(); !slices.Equal(a, unwell) || !slices.Equal(b, weak) {
				t.Errorf("%s: without %q, and worse with %q", when, a, b)
			}
		}
		want("before anybody has answered",
			[]string{"the commands: has not answered yet", "the log: has not answered yet"},
			[]string{"the cache: has not answered yet"})
		for i, name := range ports {
			go func() {
				defer func() { done <- true }()
				p.watch(ctx, name, func(ctx context.Context) error {
					if !away[i].Load() {
						return nil
					}
					if i == 0 { // it hangs
						<-ctx.Done()
						return ctx.Err()
					}
					return errors.New("connection refused")
				})
			}()
		}
		time.Sleep(time.Second)
		want("when all is well", nil, nil)
		away[0].Store(true)
		away[2].Store(true)
		time.Sleep(10 * time.Second)
		want("when the log hangs", []string{"the log: context deadline exceeded"}, []string{"the cache: connection refused"})
		away[0].Store(false)
		away[1].Store(true)
		away[2].Store(false)
		time.Sleep(10 * time.Second)
		want("when commands go nowhere", []string{"the commands: connection refused"}, nil)
		stop()
		for range 3 {
			<-done
		}
	})
}
