package analyticstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// dying is a store whose process dies at the nth change that it makes.
type dying struct {
	analytics.Swappable
	*countdown
}

type countdown struct {
	mu    sync.Mutex
	n     int
	after bool
	dead  bool
}

// step does something, unless it is time to die before or after.
func (c *countdown) step(f func() error) error {
	c.mu.Lock()
	c.n--
	now := c.n == 0
	c.dead = c.dead || now
	dead := c.dead
	c.mu.Unlock()
	switch {
	case now && c.after:
		return errors.Join(f(), errKilled)
	case dead:
		return errKilled
	}
	return f()
}

func (d dying) Claim(ctx context.Context, n int32, read []projection.Cursor) (c projection.Claim, err error) {
	err = d.step(func() error {
		c, err = d.Swappable.Claim(ctx, n, read)
		return err
	})
	return c, err
}

func (d dying) Write(ctx context.Context, b *projection.Batch) error {
	return d.step(func() error { return d.Swappable.Write(ctx, b) })
}

func (d dying) Swap(ctx context.Context, newest int64) error {
	return d.step(func() error { return d.Swappable.Swap(ctx, newest) })
}

func (d dying) Drop(ctx context.Context, what string) error {
	return d.step(func() error { return d.Swappable.Drop(ctx, what) })
}

func (d dying) Carry(ctx context.Context, from analytics.Store, block int64, w analytics.Written) error {
	return d.step(func() error { return d.Swappable.Carry(ctx, from, block, w) })
}

func (d dying) Shadow(ctx context.Context) (analytics.Store, error) {
	s, err := d.Swappable.Shadow(ctx)
	return dyingBeside{s, d.countdown}, err
}

func (d dying) Staging(ctx context.Context, name string) (analytics.Store, error) {
	s, err := d.Swappable.Staging(ctx, name)
	return dyingBeside{s, d.countdown}, err
}

// Unwrap is the store itself.
func (d dying) Unwrap() analytics.Store { return d.Swappable }

// dyingBeside is what such a store has beside.
type dyingBeside struct {
	analytics.Store
	*countdown
}

func (d dyingBeside) Claim(ctx context.Context, n int32, read []projection.Cursor) (c projection.Claim, err error) {
	err = d.step(func() error {
		c, err = d.Store.Claim(ctx, n, read)
		return err
	})
	return c, err
}

func (d dyingBeside) Write(ctx context.Context, b *projection.Batch) error {
	return d.step(func() error { return d.Store.Write(ctx, b) })
}

func (d dyingBeside) Carry(ctx context.Context, from analytics.Store, block int64, w analytics.Written) error {
	return d.step(func() error { return d.Store.Carry(ctx, from, block, w) })
}

// Unwrap is the store itself.
func (d dyingBeside) Unwrap() analytics.Store { return d.Store }

// lives runs something that dies at its first change, then at its second, and so on, until
// it comes to its end; in between it is run by a process that does not die.
func lives(p *place, once func(t *testing.T, q *place, c *countdown)) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			c, over := &countdown{n: n, after: after}, false
			p.Run(fmt.Sprintf("at change %d, done %t", n, after), func(t *testing.T) {
				once(t, p.another(t), c)
				over = !c.dead
			})
			if over || p.Failed() {
				if n < 4 {
					p.Errorf("only %d changes were made", n)
				}
				break
			}
			if p.Slow { // some of them
				n += 2
			}
		}
	}
}
