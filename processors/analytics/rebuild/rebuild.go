// Package rebuild writes the tables of analytics anew beside those that answer, and swaps
// them; and it takes in files of events.
package rebuild

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// Rebuild writes tables anew from the log, or from the event stores.
//
// It can be ended at any point, and goes on when it is run again: how far the shadow has
// come is in its own ledger, and the swap is one step, or is finished before anything else.
type Rebuild struct {
	Live       analytics.Swappable
	Schema     *analytics.Schema
	Config     projection.Config // of the writer of Live
	FromStores bool
	// Fewer swaps also for tables that lack events which the live ones have.
	Fewer bool
	Rate  float64 // events a second; 0: as fast as they are taken
	// Told hears of the progress; optional.
	Told func(Progress)
	Log  *slog.Logger

	shadow analytics.Store
	began  time.Time
}

// Progress is how far a backfill has come.
type Progress struct {
	Doing string
	Done  int64
	Of    int64   // 0: not known
	Rate  float64 // a second
}

// Left is how long it will take; 0 if that is not known.
func (p Progress) Left() time.Duration {
	if p.Of <= p.Done || p.Rate <= 0 {
		return 0
	}
	return time.Duration(float64(p.Of-p.Done) / p.Rate * float64(time.Second))
}

// Report is what became of a rebuild.
type Report struct {
	Finished bool    `json:"finished"` // an earlier one's swap; nothing else was done
	Events   int64   `json:"events"`   // in the tables now
	Written  int64   `json:"written"`  // by this run
	Blocks   int64   `json:"blocks"`   // proved
	Files    int     `json:"files"`    // carried over
	Parity   *Parity `json:"parity,omitempty"`
	Seconds  float64 `json:"seconds"`
}

// ErrFewer says that the tables anew lack events.
var ErrFewer = errors.New("the tables that were written anew have fewer events than those that answer")

var errNoStores = errors.New("this process has not the event stores of all services, from which it was to read: name where they are in the configuration, or read the log with --from log")

// swaps bounds how often a swap is begun again because somebody wrote meanwhile.
const swaps = 20

// Run does all that is left to do.
func (r *Rebuild) Run(ctx context.Context) (out *Report, err error) {
	r.began = time.Now()
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	out = &Report{}
	defer func() { out.Seconds = time.Since(r.began).Seconds() }()
	if r.FromStores && r.Config.Stores == nil {
		return out, errNoStores
	}
	b, err := r.Live.Beside(ctx)
	if err != nil {
		return out, err
	}
	if b.Half {
		r.tell(Progress{Doing: "finishing an earlier swap"})
		out.Finished = true
		return out, r.Live.Swap(ctx, 0)
	}
	if b.Old && !b.Shadow {
		if err := r.Live.Drop(ctx, analytics.OldTables); err != nil {
			return out, err
		}
	}
	if r.shadow, err = r.Live.Shadow(ctx); err != nil {
		return out, err
	}
	defer func() {
		if r.shadow != nil {
			err = errors.Join(err, r.shadow.Close())
		}
	}()
	if err := r.write(ctx, out); err != nil {
		return out, err
	}
	if err := r.prove(ctx, out); err != nil {
		return out, err
	}
	if out.Parity, err = r.compare(ctx); err != nil {
		return out, err
	}
	if out.Parity.Fewer && !r.Fewer {
		return out, fmt.Errorf("%w: nothing was swapped. Look at why; if that is how it has to be, run it again with --accept-fewer, or remove what was written with --drop-shadow", ErrFewer)
	}
	if err := r.swap(ctx, out); err != nil {
		return out, err
	}
	out.Events, err = Events(ctx, r.Live)
	return out, err
}

// carry copies what files gave, as far as the shadow has not got it.
func (r *Rebuild) carry(ctx context.Context, out *Report) error {
	files, err := Files(ctx, r.Live)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f KnownFile) bool { return !f.Whole }) // who moves it begins again
	have, err := Files(ctx, r.shadow)
	if err != nil {
		return err
	}
	out.Files = len(files)
	for _, gone := range have { // removed from the live tables meanwhile, or begun again
		if i := named(files, gone.Topic); i < 0 || files[i].Writer != gone.Writer {
			if err := r.shadow.Remove(ctx, gone.Topic, gone.first(), gone.last()); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		for i, w := range f.blocks {
			if err := r.shadow.Carry(ctx, r.Live, w.Number, w); err != nil {
				return fmt.Errorf("file %s cannot be carried over: %w", f.Name, err)
			}
			r.tell(Progress{Doing: "carrying over " + f.Name, Done: int64(i + 1), Of: int64(len(f.blocks))})
		}
	}
	return nil
}

// prove compares the shadow with the log.
func (r *Rebuild) prove(ctx context.Context, out *Report) error {
	p := &analytics.Reconciler{Store: r.shadow, Schema: r.Schema, Client: r.Config.Client, Keep: r.Config.Keep}
	began := time.Now()
	found, err := p.All(ctx, func(done, of int64) {
		out.Blocks = done
		r.tell(Progress{Doing: "proving blocks", Done: done, Of: of, Rate: float64(done) / time.Since(began).Seconds()})
	})
	if err != nil {
		return fmt.Errorf("whether what was written is what the log says is not known: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	files, err := Files(ctx, r.shadow)
	if err != nil {
		return err
	}
	for _, d := range found {
		for _, f := range files {
			if d.Block >= f.first() && d.Block <= f.last() {
				return fmt.Errorf("what file %s gave is not what it was when it was taken in, in the tables that answer, and nothing was swapped: %s. Take it out with weir backfill --remove %s, and in again; then begin again", f.Name, d, f.Topic)
			}
		}
	}
	return fmt.Errorf("what was written is not what the log says, in %d places, and nothing was swapped: %s. Remove it with weir backfill --drop-shadow, and begin again", len(found), found[0])
}

// swap fences the live writer, catches up with what it wrote, and swaps. Who claims the
// live tables in between has it begin again.
func (r *Rebuild) swap(ctx context.Context, out *Report) error {
	for try := range swaps {
		r.tell(Progress{Doing: "swapping", Done: int64(try), Of: 0})
		if _, err := r.Live.Claim(ctx, r.Config.Partitions, nil); errors.Is(err, projection.ErrFenced) || errors.Is(err, projection.ErrUnavailable) {
			if err := wait(ctx, time.Now(), 1, 1); err != nil {
				return err
			}
			continue
		} else if err != nil { // then nobody writes them
			r.Log.WarnContext(ctx, "the tables that are swapped cannot be claimed", "error", err)
		}
		newest, err := r.Live.Newest(ctx)
		if err != nil {
			return err
		}
		target, err := r.offsets(ctx)
		if err != nil {
			return err
		}
		if err := errors.Join(r.writeUntil(ctx, target, 0, out), r.carry(ctx, out)); err != nil {
			return err
		}
		err = r.shadow.Close()
		r.shadow = nil
		if err == nil {
			err = r.Live.Swap(ctx, newest)
		}
		if !errors.Is(err, projection.ErrFenced) {
			return err
		}
		if r.shadow, err = r.Live.Shadow(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the live tables were written again and again while they were to be swapped, %d times: run it again, it goes on from here", swaps)
}

func (r *Rebuild) tell(p Progress) {
	if r.Told != nil {
		r.Told(p)
	}
}

// Events are how many there are.
func Events(ctx context.Context, s analytics.Store) (int64, error) {
	res, err := s.Select(ctx, "SELECT count(*) FROM `"+analytics.EventsTable+"`", nil, 0)
	if err != nil || len(res.Rows) != 1 {
		return 0, err
	}
	n, _ := res.Rows[0][0].(int64)
	return n, nil
}
