package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// isTerminal tells whether a person looks on.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// waiting runs f, and ends when ctx ends, whatever f does by then: the process will.
// Meanwhile a terminal is told how long it has been, and what f says of its state.
func waiting(ctx context.Context, w io.Writer, what string, f func(say func(string)) error) error {
	state := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- f(func(s string) {
			select {
			case state <- s:
			case <-ctx.Done():
			}
		})
	}()
	shown := isTerminal(w)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	if shown {
		defer fmt.Fprint(w, "\r\x1b[K")
	}
	said, began := "", time.Now()
	for {
		select {
		case err := <-ended:
			return err
		case said = <-state:
		case <-tick.C:
		case <-ctx.Done():
			select { // what tidies up is given a moment
			case <-ended:
			case <-time.After(time.Second):
			}
			return fmt.Errorf("interrupted after %s: %w", time.Since(began).Round(time.Second), context.Cause(ctx))
		}
		if shown {
			fmt.Fprintf(w, "\r\x1b[K%s %s(%s)", what, said, time.Since(began).Round(time.Second))
		}
	}
}
