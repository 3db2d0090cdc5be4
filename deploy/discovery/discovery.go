// Package discovery is how units of the platform find one another: each keeps
// itself registered while it runs, and others ask who is healthy.
package discovery

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Unit is one running piece of the platform: an instance of a service, the
// gateway, the read model's projection.
type Unit struct {
	Name    string // what it is: "order", "gateway"
	ID      string // which one, unique
	Address string // host:port of its HTTP interface
	Tags    []string
}

// Registry knows the units. discoverytest holds the suite that every
// implementation passes.
type Registry interface {
	// Keep registers a unit and keeps it so, with its health, until ctx ends;
	// then the unit is taken out, and Keep returns. A registry that is away is
	// tried again.
	Keep(ctx context.Context, u Unit, healthy func() error) error
	// Resolve lists the healthy units of a name, by their ids.
	Resolve(ctx context.Context, name string) ([]Unit, error)
}

// inProcess knows the units of this process.
type inProcess struct {
	mu    sync.Mutex
	units map[string]kept // by id
}

type kept struct {
	Unit
	healthy func() error
}

// NewRegistry makes a registry of this process's own units.
func NewRegistry() Registry { return &inProcess{units: map[string]kept{}} }

func (r *inProcess) Keep(ctx context.Context, u Unit, healthy func() error) error {
	r.mu.Lock()
	r.units[u.ID] = kept{u, healthy}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	delete(r.units, u.ID)
	r.mu.Unlock()
	return nil
}

func (r *inProcess) Resolve(_ context.Context, name string) ([]Unit, error) {
	r.mu.Lock()
	var named []kept
	for _, u := range r.units {
		if u.Name == name {
			named = append(named, u)
		}
	}
	r.mu.Unlock()
	out := []Unit{}
	for _, u := range named {
		if u.healthy() == nil {
			out = append(out, u.Unit)
		}
	}
	slices.SortFunc(out, func(a, b Unit) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
