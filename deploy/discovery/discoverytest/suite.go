// Package discoverytest is the conformance suite of unit discovery.
package discoverytest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/discovery"
)

// patience bounds how long a change of health may take to be seen.
const patience = 15 * time.Second

// Run runs the suite. Names are those of units that nobody else registers.
func Run(t *testing.T, r discovery.Registry, one, other string) {
	a := discovery.Unit{Name: one, ID: one + "-a", Address: "127.0.0.1:1001", Tags: []string{"metrics"}}
	b := discovery.Unit{Name: one, ID: one + "-b", Address: "127.0.0.1:1002", Tags: []string{"metrics"}}
	c := discovery.Unit{Name: other, ID: other + "-c", Address: "[::1]:1003", Tags: []string{"metrics"}}
	var sick atomic.Bool
	health := func() error {
		if sick.Load() {
			return errors.New("a lane is halted")
		}
		return nil
	}
	well := func() error { return nil }
	want := func(name string, units ...discovery.Unit) {
		t.Helper()
		var got []discovery.Unit
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			var err error
			if got, err = r.Resolve(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if len(got) == len(units) && (len(got) == 0 || reflect.DeepEqual(got, units)) {
				return
			}
		}
		t.Errorf("%s resolves to %v, want %v", name, got, units)
	}
	want(one)
	endA := keep(t, r, a, health)
	endB := keep(t, r, b, well)
	endC := keep(t, r, c, well)
	want(one, a, b)
	want(other, c)
	sick.Store(true)
	want(one, b)
	sick.Store(false)
	want(one, a, b)
	endB()
	want(one, a)
	endA()
	want(one)
	endC()
	want(other)
}

// keep keeps a unit until the returned function is called, which returns when
// the unit is taken out.
func keep(t *testing.T, r discovery.Registry, u discovery.Unit, healthy func() error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Keep(ctx, u, healthy); err != nil {
			t.Errorf("keeping %s: %v", u.ID, err)
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}
