//go:build real

package consul

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirstream/weir/deploy/discovery"
	"github.com/weirstream/weir/deploy/discovery/discoverytest"
	"github.com/weirstream/weir/streams/streamtest"
)

func open(t *testing.T) *Registry {
	t.Helper()
	r, err := Open(streamtest.Real(t, "consul"), "", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// name is one that only this test uses.
func name(what string) string { return what + "-" + strings.ToLower(rand.Text()) }

func TestConformance(t *testing.T) {
	discoverytest.Run(t, open(t), name("order"), name("gateway"))
}

// A unit that dies without a word is not resolved for longer than its check
// lives.
func TestADeadUnitExpires(t *testing.T) {
	r, unit := open(t), name("dead")
	s, err := service(discovery.Unit{Name: unit, ID: unit, Address: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.renew(t.Context(), s, false, nil); err != nil {
		t.Fatal(err)
	}
	defer r.takeOut(context.Background(), unit)
	began := time.Now()
	for {
		found, err := r.Resolve(t.Context(), unit)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); len(found) == 0 {
			if d < ttl/2 {
				t.Errorf("gone after %v", d)
			}
			return
		} else if d > 2*ttl {
			t.Fatalf("still resolved after %v", d)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// An agent that was restarted without its data is told again.
func TestAForgetfulAgentIsToldAgain(t *testing.T) {
	r, unit := open(t), name("again")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- r.Keep(ctx, discovery.Unit{Name: unit, ID: unit, Address: "127.0.0.1:1"}, func() error { return nil })
	}()
	await := func() {
		t.Helper()
		for end := time.Now().Add(4 * renewal); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if found, err := r.Resolve(ctx, unit); err == nil && len(found) == 1 {
				return
			}
		}
		t.Fatal("the unit is not resolved")
	}
	await()
	if err := r.client.Agent().ServiceDeregisterOpts(unit, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		t.Fatal(err)
	}
	await()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
