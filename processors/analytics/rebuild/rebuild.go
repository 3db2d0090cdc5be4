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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

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

// Plan is what a rebuild would do, in the order of it.
type Plan struct {
	Steps  []string `json:"steps"`
	Events int64    `json:"events"` // in the live tables
}

// Plan says what Run would do, and changes nothing.
func (r *Rebuild) Plan(ctx context.Context) (out Plan, err error) {
	b, err := r.Live.Beside(ctx)
	if err != nil {
		return out, err
	}
	if out.Events, err = Events(ctx, r.Live); err != nil {
		return out, err
	}
	add := func(format string, args ...any) { out.Steps = append(out.Steps, fmt.Sprintf(format, args...)) }
	if b.Half {
		add("finish the swap of an earlier run, and nothing else")
		return out, nil
	}
	if b.Shadow {
		add("go on with the tables that an earlier run has begun")
	} else if b.Old {
		add("remove the old tables of the last swap")
	}
	if err := r.planReading(ctx, add); err != nil {
		return out, err
	}
	files, err := Files(ctx, r.Live)
	if err != nil {
		return out, err
	}
	for _, f := range files {
		if f.Whole {
			add("carry over the %d events of %s (%s)", f.Events, f.Name, f.Topic)
		} else {
			add("leave out %s (%s), which is not whole: take it in again afterwards", f.Name, f.Topic)
		}
	}
	add("prove what is written, compare it with the %d events of the live tables, and swap the two; the old ones stay until the next backfill, or --drop-old", out.Events)
	return out, nil
}

// planReading says where the events would come from.
func (r *Rebuild) planReading(ctx context.Context, add func(string, ...any)) error {
	from, to, err := r.log(ctx)
	if err != nil {
		return err
	}
	records, gone := int64(0), int64(0)
	for at, end := range to {
		records, gone = records+end-from[at], gone+from[at]
	}
	stores := "this process has not the event stores of all services"
	if r.Config.Stores != nil {
		stores = "this process has the event stores of all services"
	}
	switch {
	case r.FromStores && r.Config.Stores == nil:
		return errNoStores
	case r.FromStores:
		add("read what services wrote from their event stores, and what came from outside from the log, which has %d records", records)
	case gone == 0:
		add("read the log from its beginning: %d records", records)
	case r.Config.Stores != nil:
		add("read the log: %d records; the %d before them are on it no more, and are read from the event stores (what came from outside among them is lost)", records, gone)
	default:
		add("read the log: %d records; the %d before them are on it no more, and %s: IT WOULD FAIL", records, gone, stores)
	}
	return nil
}

// write brings the shadow to where the live tables are, and the log ends.
func (r *Rebuild) write(ctx context.Context, out *Report) error {
	of, err := Events(ctx, r.Live)
	if err != nil {
		return err
	}
	for {
		began := time.Now()
		target, err := r.target(ctx)
		if err != nil {
			return err
		}
		if err := r.writeUntil(ctx, target, of, out); err != nil {
			return err
		}
		if time.Since(began) < 5*time.Second { // what happens meanwhile is little
			break
		}
	}
	return r.carry(ctx, out)
}

type place struct {
	topic     string
	partition int32
}

// target is how far the live tables have come, or the log, whichever is farther.
func (r *Rebuild) target(ctx context.Context) (map[place]int64, error) {
	out, err := r.offsets(ctx)
	if err != nil {
		return nil, err
	}
	_, ends, err := r.log(ctx)
	for at, end := range ends {
		out[at] = max(out[at], end)
	}
	return out, err
}

// log is where it begins and ends.
func (r *Rebuild) log(ctx context.Context) (from, to map[place]int64, err error) {
	cl, err := kgo.NewClient(r.Config.Client...)
	if err != nil {
		return nil, nil, fmt.Errorf("no Kafka client for a backfill: %w", err)
	}
	defer cl.Close()
	var topics []string
	for _, t := range r.Config.Topology.Topics() {
		topics = append(topics, t.Name)
	}
	list := func(f func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[place]int64, error) {
		l, err := f(ctx, topics...)
		if err == nil {
			err = l.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("where the log begins and ends cannot be read: %w", err)
		}
		out := map[place]int64{}
		l.Each(func(o kadm.ListedOffset) { out[place{o.Topic, o.Partition}] = o.Offset })
		return out, nil
	}
	adm := kadm.NewClient(cl)
	if from, err = list(adm.ListStartOffsets); err == nil {
		to, err = list(adm.ListEndOffsets)
	}
	return from, to, err
}

// offsets are those of the live tables, of topics that there are.
func (r *Rebuild) offsets(ctx context.Context) (map[place]int64, error) {
	all, err := r.Live.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	out := map[place]int64{}
	for _, t := range r.Config.Topology.Topics() {
		for partition, next := range all[t.Name] {
			out[place{t.Name, partition}] = next
		}
	}
	return out, nil
}

// writeUntil runs a writer of the shadow until it has come so far.
func (r *Rebuild) writeUntil(ctx context.Context, target map[place]int64, of int64, out *Report) error {
	have, err := Events(ctx, r.shadow)
	if err != nil {
		return err
	}
	s := &slowly{Store: r.shadow, rate: r.Rate, began: time.Now(), at: map[place]int64{}}
	s.told = func(n int64) {
		done := have + n
		r.tell(Progress{Doing: "writing events", Done: done, Of: max(of, done), Rate: float64(n) / time.Since(s.began).Seconds()})
	}
	cfg := r.Config
	cfg.What, cfg.Rebuild, cfg.Decode, cfg.FromStores, cfg.Log = "analytics anew", "begin again: weir backfill --drop-shadow", true, r.FromStores, r.Log
	cfg.Changed, cfg.Written = nil, nil
	if r.Rate > 0 {
		cfg.Batch = max(1, min(cfg.Batch, int(r.Rate)))
	}
	cfg.Until = func() bool {
		for at, next := range target {
			if s.at[at] < next {
				return false
			}
		}
		return true
	}
	err = projection.NewWriter(s).Run(ctx, cfg)
	out.Written += s.n
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, projection.ErrFenced) {
		err = fmt.Errorf("another weir backfill writes these tables: let it, or stop it: %w", err)
	}
	return err
}

// slowly is a store that is written at a rate, and knows how far it has come.
type slowly struct {
	analytics.Store
	rate  float64
	began time.Time
	n     int64
	at    map[place]int64
	told  func(int64)
}

// Claim notes where the writer begins.
func (s *slowly) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	c, err := s.Store.Claim(ctx, partitions, read)
	for _, x := range c.Cursors {
		s.at[place{x.Topic, x.Partition}] = x.Next
	}
	return c, err
}

// Write waits until it is time for what was written before.
func (s *slowly) Write(ctx context.Context, b *projection.Batch) error {
	if err := wait(ctx, s.began, s.n, s.rate); err != nil {
		return err
	}
	if err := s.Store.Write(ctx, b); err != nil {
		return err
	}
	s.n += int64(len(b.Events))
	for _, m := range b.Moves {
		s.at[place{m.Topic, m.Partition}] = m.Next
	}
	s.told(s.n)
	return nil
}

// wait is for as long as so many take at a rate.
func wait(ctx context.Context, began time.Time, n int64, rate float64) error {
	if rate <= 0 {
		return nil
	}
	t := time.NewTimer(time.Until(began.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
	if len(found) > 0 {
		return fmt.Errorf("what was written is not what the log says, in %d places, and nothing was swapped: %s. Remove it with weir backfill --drop-shadow, and begin again", len(found), found[0])
	}
	return nil
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
