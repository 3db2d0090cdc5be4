package practice

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// Entrance is what is broken of the way in, for practice. The zero value is none of it.
func (f *Faults) Entrance(h http.Handler) http.Handler {
	if f == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.dead.Load() == 0 {
			h.ServeHTTP(w, r)
			return
		}
		panic(http.ErrAbortHandler) // the connection is cut without an answer
	})
}

// die has the gateway be gone: nobody gets an answer, and it tells nothing of itself.
func (f *Faults) die(context.Context) error {
	f.dead.Store(1)
	f.Tell(false)
	return nil
}

func (f *Faults) revive(context.Context) error {
	f.Tell(true)
	f.dead.Store(0)
	return nil
}

// silence has no customer come, though everything is at work.
func (f *Faults) silence(context.Context) error {
	if !f.Customers {
		return errors.New("no customers come who could stay away: start with --customers-per-second")
	}
	f.silent.Store(1)
	return nil
}

// starve takes the processors away, as a neighbour on the host would.
func (f *Faults) starve() (source, error) {
	var burning sync.WaitGroup
	end := make(chan struct{})
	for range starvers * runtime.GOMAXPROCS(0) {
		burning.Go(func() {
			for n := uint64(1); ; n = n*6364136223846793005 + 1 {
				if n%(1<<16) == 1 {
					select {
					case <-end:
						return
					default:
					}
				}
			}
		})
	}
	stop := sync.OnceFunc(func() { close(end); burning.Wait() })
	return source{every: time.Hour, stop: stop, once: func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	}}, nil
}

// starvers are how many things want each processor beside this platform: it gets a
// turn of ten milliseconds after all of theirs.
const starvers = 5
