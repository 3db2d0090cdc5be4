package analytics

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
)

// Reconciler proves, block by block, that the rows are what the log says. It reads the log
// by itself, makes of it what a block has to be, and compares that with what the block says
// that was written, and with the rows as they are.
type Reconciler struct {
	Store  Store
	Schema *Schema
	Client []kgo.Opt // of the log; nil: what was written is believed
	Keep   time.Duration
	Now    func() time.Time
	Log    *slog.Logger
	// How often new blocks are looked at, 5 s if 0, and all others again, 30 s if 0; and how
	// old a block is before it is looked at, as its rows follow it, 3 s if 0.
	Every, Again, Settled time.Duration
	// Proved hears of each round.
	Proved func(Progress)

	reading *projection.Reading
	mu      sync.Mutex
	found   map[string]Difference
	next    int64     // the last block that is proved
	last    Written   // that block, by which tables that were swapped are told
	recent  []counted // blocks that were proved lately, of recheckRows together
	older   int64     // the block that the slow look back has come to
	span    int       // likewise, of hours
}

// Progress is what a round of the proof has shown: all that was written some seconds before
// its end is what the log says, or Found.
type Progress struct {
	Until time.Time      // all blocks that were written before are proved
	Rows  int64          // that were proved in the round for the first time, of all tables
	Found map[string]int // differences that there are now, by table
}

// counted is a block and its rows.
type counted struct{ number, rows int64 }

// Bounds of one look, in rows: memory is a few hundred bytes for each.
const (
	lookRows   = 200_000
	lookBlocks = 500
	// recheckRows are looked at again, of the newest, and as many older ones.
	recheckRows = 1_000_000
	// firstBlocks are those that a new reconciler begins with.
	firstBlocks = 1000
	// maxFound bounds the differences that are kept in memory; more are counted.
	maxFound = 1000
)

// Run proves what is written until ctx ends, and looks back again and again. Trouble with
// the store or the log passes.
//
// It begins with the blocks of the last quarter of an hour or so: what is older is compared
// with what was written as the looks back come to it, and not with the log.
func (r *Reconciler) Run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.next = -1
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	rechecked := time.Time{}
	for failing := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		p, err := r.prove(ctx)
		if err == nil && time.Since(rechecked) >= r.Again {
			rechecked = time.Now()
			err = r.lookBack(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "whether analytics is what the log says is not known", "error", err)
		}
		if failing = err != nil; !failing && r.Proved != nil {
			p.Found = r.counts()
			r.Proved(p)
		}
	}
}

func (r *Reconciler) begin(ctx context.Context) (err error) {
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	r.Every, r.Again, r.Settled = cmp.Or(r.Every, 5*time.Second), cmp.Or(r.Again, 30*time.Second), cmp.Or(r.Settled, 3*time.Second)
	r.found, r.older = map[string]Difference{}, math.MinInt64
	r.reading, err = projection.NewReading(r.Schema.Business, r.Schema.Topology)
	return err
}

// All proves every block and every hour that there is, and answers what is not as it was
// written. Told hears how many blocks of how many are done.
func (r *Reconciler) All(ctx context.Context, told func(done, of int64)) ([]Difference, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	newest, err := r.Store.Newest(ctx)
	if err != nil {
		return nil, err
	}
	first := int64(0)
	for r.next = math.MinInt64; ; {
		blocks, err := r.blocks(ctx, r.next, r.Now())
		if err != nil {
			return nil, err
		}
		if len(blocks) == 0 {
			break
		}
		n, err := r.look(ctx, blocks, true)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		r.next = blocks[n-1].Number
		if first == 0 && r.next > 0 { // those of files do not count
			first = max(1, blocks[0].Number)
		}
		if told != nil && first > 0 {
			told(r.next-first+1, max(newest, r.next)-first+1)
		}
	}
	spans, err := r.spans(ctx)
	for i := 0; err == nil && i < len(spans); i++ {
		err = r.hours(ctx, spans[i].from, spans[i].to)
	}
	if err != nil {
		return nil, err
	}
	return r.list(), nil
}

// prove looks at the blocks that nobody has looked at yet.
func (r *Reconciler) prove(ctx context.Context) (p Progress, err error) {
	if err := r.swapped(ctx); err != nil {
		return p, err
	}
	if r.next < 0 {
		newest, err := r.Store.Newest(ctx)
		if err != nil {
			return p, err
		}
		r.next = max(0, newest-firstBlocks)
	}
	for {
		p.Until = r.Now().Add(-r.Settled)
		blocks, err := r.blocks(ctx, r.next, p.Until)
		if err != nil {
			return p, err
		}
		if len(blocks) == 0 {
			break
		}
		n, err := r.look(ctx, blocks, true)
		if err != nil {
			return p, err
		}
		for i := range blocks[:n] {
			p.Rows += rowsOf(&blocks[i])
			r.remember(&blocks[i])
			r.last = blocks[i]
			r.next = r.last.Number
		}
		if n < len(blocks) {
			p.Until = blocks[n].At
			break
		}
	}
	return p, nil
}

// swapped begins anew with tables that came in the place of those that were proved: their
// blocks are others, and so are their differences.
func (r *Reconciler) swapped(ctx context.Context) error {
	if r.last.Number == 0 {
		return nil
	}
	have, err := r.Store.Blocks(ctx, r.last.Number-1, 1)
	if err != nil || len(have) > 0 && have[0].Number == r.last.Number && have[0].Writer == r.last.Writer && have[0].At.Equal(r.last.At) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found, r.next, r.last, r.recent, r.older = map[string]Difference{}, -1, Written{}, nil, math.MinInt64
	return nil
}

// remember keeps in mind which blocks are the newest.
func (r *Reconciler) remember(b *Written) {
	r.recent = append(r.recent, counted{b.Number, rowsOf(b)})
	sum := int64(0)
	for i := len(r.recent) - 1; i >= 0; i-- {
		if sum += r.recent[i].rows + 1; sum > recheckRows {
			r.recent = slices.Clone(r.recent[i+1:])
			return
		}
	}
}

func rowsOf(b *Written) (n int64) {
	for _, s := range b.Tables {
		n += s.Rows
	}
	return n
}

// blocks are some that follow one, as many as may be looked at at once.
func (r *Reconciler) blocks(ctx context.Context, above int64, until time.Time) ([]Written, error) {
	all, err := r.Store.Blocks(ctx, above, lookBlocks)
	if err != nil {
		return nil, err
	}
	rows := int64(0)
	for i, b := range all {
		rows += rowsOf(&b)
		if i > 0 && rows > lookRows || b.At.After(until) {
			return all[:i], nil
		}
	}
	return all, nil
}

// lookBack compares the newest blocks, some older ones, and hours with their rows again:
// somebody may have changed what was proved.
func (r *Reconciler) lookBack(ctx context.Context) error {
	if len(r.recent) > 0 {
		if _, err := r.recheck(ctx, r.recent[0].number-1, math.MaxInt64); err != nil {
			return err
		}
	}
	at, err := r.recheck(ctx, r.older, recheckRows)
	if err != nil {
		return err
	}
	if r.older = at; r.older >= r.next {
		r.older = math.MinInt64
	}
	return r.lookAtHours(ctx)
}

// recheck compares the proved blocks above one with their rows, until it has seen so many,
// and answers which it came to.
func (r *Reconciler) recheck(ctx context.Context, above, most int64) (int64, error) {
	for rows := int64(0); rows < most && above < r.next; {
		blocks, err := r.blocks(ctx, above, r.Now().Add(-r.Settled))
		if err != nil {
			return above, err
		}
		if len(blocks) == 0 { // also if all are of files, whose numbers are below 0
			return r.next, nil
		}
		if _, err := r.look(ctx, blocks, false); err != nil {
			return above, err
		}
		for i := range blocks {
			rows += rowsOf(&blocks[i])
		}
		above = blocks[len(blocks)-1].Number
	}
	return above, nil
}

// settle makes what was found all that is wrong with what was looked at, and tells of what
// is new.
func (r *Reconciler) settle(ctx context.Context, found []Difference, looked func(*Difference) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[string]bool{}
	for _, d := range found {
		now[d.Key()] = true
		if _, known := r.found[d.Key()]; known || len(r.found) >= maxFound {
			continue
		}
		d.Found = r.Now().UTC()
		r.found[d.Key()] = d
		r.Log.ErrorContext(ctx, "analytics is not what the log says", "difference", d.String())
		if err := r.Store.Note(ctx, []Difference{d}); err != nil {
			r.Log.WarnContext(ctx, "a difference could not be noted in analytics", "error", err)
		}
	}
	maps.DeleteFunc(r.found, func(key string, d Difference) bool { return looked(&d) && !now[key] })
}

func (r *Reconciler) list() []Difference {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.found), func(a, b Difference) int { return slices.Compare([]byte(a.Key()), []byte(b.Key())) })
}

func (r *Reconciler) counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for _, t := range r.Schema.Tables {
		out[t.Name] = 0
	}
	out[HoursTable] = 0
	for _, d := range r.found {
		out[d.Table]++
	}
	return out
}
