package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ports looks whether what this process needs outside of it answers. Event stores
// are not among it: lanes say what they wait for. Nor is the read model: what is
// known of its lag says whether it answers.
type ports struct {
	mu     sync.Mutex
	failed map[string]error // by the port's name; nil if it answers
}

// How often ports are asked, and how long they may take.
const (
	portsEvery  = 2 * time.Second
	portsAnswer = 3 * time.Second
)

// The cache may be away: that makes things slower, and not wrong, and who takes all
// processes out of service for it makes an outage of it.
const cachePort = "cache"

// pinger is a port that can be asked whether it is there.
type pinger interface{ Ping(context.Context) error }

var errNotAsked = errors.New("has not answered yet")

func (p *platform) startPorts(ctx context.Context) error {
	cl, err := kgo.NewClient(p.kafka...)
	if err != nil {
		return err
	}
	p.wait = append(p.wait, cl.Close)
	ask := map[string]func(context.Context) error{"log": cl.Ping}
	if p.units.gateway {
		ask["commands"] = func(context.Context) error { return p.commands.Err() }
	}
	if c, ok := p.cache.(pinger); ok {
		ask[cachePort] = c.Ping
	}
	p.ports.failed = map[string]error{}
	for name := range ask {
		p.ports.failed[name] = errNotAsked
	}
	for name, f := range ask {
		p.background(ctx, "looking at the "+name, func(ctx context.Context) error {
			p.ports.watch(ctx, name, f)
			return nil
		})
	}
	return nil
}

// watch asks a port until ctx ends. One that has never answered is asked often:
// the start waits for it.
func (p *ports) watch(ctx context.Context, name string, ask func(context.Context) error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, portsEvery) {
		limited, cancel := context.WithTimeout(ctx, portsAnswer)
		err := ask(limited)
		cancel()
		p.mu.Lock()
		p.failed[name] = err
		p.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// unwell are the ports without which this process is not ready.
func (p *ports) unwell() []string {
	return p.list(func(name string) bool { return name != cachePort })
}

// weak are those that are away and can be done without.
func (p *ports) weak() []string { return p.list(func(name string) bool { return name == cachePort }) }

func (p *ports) list(of func(name string) bool) (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, err := range p.failed {
		if err != nil && of(name) {
			out = append(out, fmt.Sprintf("the %s: %v", name, err))
		}
	}
	slices.Sort(out)
	return out
}
