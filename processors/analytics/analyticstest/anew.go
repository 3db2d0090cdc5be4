package analyticstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

var anewCases = []testCase{
	{"WrittenAnewFromTheLog", writtenAnewFromTheLog},
	{"WrittenAnewAfterHarm", writtenAnewAfterHarm},
	{"WrittenAnewFromTheStores", writtenAnewFromTheStores},
	{"KilledWhileWrittenAnew", killedWhileWrittenAnew},
	{"WrittenAnewBesideAWriter", writtenAnewBesideAWriter},
	{"WrittenJustBeforeASwap", writtenJustBeforeASwap},
	{"SwappedUnderAFrozenWriter", swappedUnderAFrozenWriter},
	{"SwappedUnderAHalfWrittenBlock", swappedUnderAHalfWrittenBlock},
}

// swappable opens the store.
func (p *place) swappable() analytics.Swappable {
	p.Helper()
	s, ok := p.store().(analytics.Swappable)
	if !ok {
		p.Fatal("this store cannot be swapped")
	}
	return s
}

// rebuilding is a rebuild of a store from a log.
func (p *place) rebuilding(l *projectiontest.Log, s analytics.Swappable) *rebuild.Rebuild {
	return &rebuild.Rebuild{Live: s, Schema: schemaOf(p, ferry()), Config: settings(l)}
}

// rebuilt runs one that nothing may stop.
func (p *place) rebuilt(l *projectiontest.Log, s analytics.Swappable) *rebuild.Report {
	p.Helper()
	out, err := p.rebuilding(l, s).Run(ctx)
	if err != nil {
		p.Fatal(err)
	}
	return out
}

func writtenAnewFromTheLog(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 20)
	l.Produce(recs...)
	p.catchUp(l, s)
	was := events0(p, s)
	for range 3 {
		out := p.rebuilt(l, s)
		if out.Events != was || out.Written != was || out.Parity.Hours == 0 || len(out.Parity.Differ) > 0 {
			p.Errorf("of %d events it says %+v, %+v", was, out, out.Parity)
		}
		p.whole(s, recs)
		b, err := s.Beside(ctx)
		if err != nil || !b.Old || b.Shadow || b.Half {
			p.Errorf("beside there is %+v (%v)", b, err)
		}
	}
	if err := s.Drop(ctx, analytics.OldTables); err != nil {
		p.Fatal(err)
	}
	if b, err := s.Beside(ctx); err != nil || b.Old {
		p.Errorf("beside there is %+v (%v)", b, err)
	}
	p.goOn(l, s, recs)
}

func events0(p *place, s analytics.Store) int64 {
	p.Helper()
	n, _ := p.ask(s, "SELECT count(*) FROM `events`")[0][0].(int64)
	return n
}

// writtenAnewAfterHarm finds out what the live tables lack, and cures it.
func writtenAnewAfterHarm(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 20)
	l.Produce(recs...)
	p.catchUp(l, s)
	p.Drop(p, s, analytics.EventsTable)
	out := p.rebuilt(l, s)
	if len(out.Parity.Differ) != 1 || out.Parity.Fewer || out.Parity.Differ[0].Anew != out.Parity.Differ[0].Live+1 {
		p.Errorf("parity is %+v", out.Parity)
	}
	p.whole(s, recs)
	p.Double(p, s, analytics.EventsTable)
	r := p.rebuilding(l, s)
	if out, err := r.Run(ctx); !errors.Is(err, rebuild.ErrFewer) || len(out.Parity.Differ) != 1 {
		p.Errorf("it ended with %v, %+v", err, out.Parity)
	}
	r.Fewer = true
	if _, err := r.Run(ctx); err != nil {
		p.Error(err)
	}
	p.whole(s, recs)
}

// writtenAnewFromTheStores reads from the event stores what services wrote, and goes on
// with the log.
func writtenAnewFromTheStores(p *place) {
	for _, kill := range []int{0, 1, 3, 6} {
		p.Run(fmt.Sprint("killed at write ", kill), func(t *testing.T) {
			q := p.another(t)
			l, s := projectiontest.NewLogOf(t, ferry()), q.swappable()
			recs := sail(l, 20)
			l.Produce(recs...)
			q.catchUp(l, s)
			r := q.rebuilding(l, dying{s, &countdown{n: kill}})
			r.FromStores, r.Config.Stores, r.Config.Batch = true, projectiontest.Stores(t, recs, "harbour", "purser"), 20
			_, err := r.Run(ctx)
			if kill > 0 && !errors.Is(err, errKilled) || kill == 0 && err != nil {
				t.Fatalf("it ended with %v", err)
			}
			if kill > 0 {
				r.Live = s
				if _, err := r.Run(ctx); err != nil {
					t.Fatal(err)
				}
			}
			n := q.ask(s, "SELECT count(*) FROM `events` WHERE `offset` < 0")[0][0].(int64)
			outside := q.ask(s, "SELECT count(*) FROM `events` WHERE `lane` = ''")[0][0].(int64)
			if all := events0(q, s); n == 0 || n+outside != all {
				t.Errorf("of %d events %d are from the stores, %d from outside", all, n, outside)
			}
			q.whole(s, recs)
			q.goOn(l, s, recs)
			q.proved(l, q.store())
		})
	}
}

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

func killedWhileWrittenAnew(p *place) {
	lives(p, func(t *testing.T, q *place, c *countdown) {
		l, s := projectiontest.NewLogOf(t, ferry()), q.swappable()
		recs := sail(l, 8)
		l.Produce(recs...)
		q.catchUp(l, s)
		q.Drop(t, s, analytics.EventsTable)
		r := q.rebuilding(l, dying{s, c})
		r.Config.Batch = 15
		if _, err := r.Run(ctx); c.dead && !errors.Is(err, errKilled) || !c.dead && err != nil {
			t.Fatalf("it ended with %v", err)
		}
		if c.dead {
			q.goesOn(l, s)
		}
		q.whole(s, recs)
		q.goOn(l, s, recs)
	})
}

// goesOn runs a rebuild that was killed, which writes what is left.
func (p *place) goesOn(l *projectiontest.Log, s analytics.Swappable) {
	p.Helper()
	b, err := s.Beside(ctx)
	if err != nil {
		p.Fatal(err)
	}
	left := events0(p, s) + 1 // one was dropped
	if b.Shadow {
		shadow, err := s.Shadow(ctx)
		if err != nil {
			p.Fatal(err)
		}
		left -= events0(p, shadow)
		if err := shadow.Close(); err != nil {
			p.Fatal(err)
		}
	}
	// What was half written is written again; and what was swapped is written anew.
	if out := p.rebuilt(l, s); !out.Finished && b.Shadow && (out.Written < left || out.Written > left+int64(15)) {
		p.Errorf("%d events were left to write, and it wrote %d", left, out.Written)
	}
}

// writtenAnewBesideAWriter has a log grow, a writer write it, and somebody ask, while the
// tables are written anew and swapped again and again.
func writtenAnewBesideAWriter(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 60)
	l.Produce(recs[:50]...)
	p.catchUp(l, s)
	writing, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	written, asked := p.store(), p.store()
	beside.Go(func() { p.keepWriting(writing, l, written) })
	beside.Go(func() { p.keepAsking(writing, asked) })
	for i := range 4 {
		done := make(chan bool)
		go func() {
			defer close(done)
			for _, rec := range recs[50+30*i : 80+30*i] {
				l.Produce(rec)
				time.Sleep(20 * time.Millisecond)
			}
		}()
		out := p.rebuilt(l, s)
		if len(out.Parity.Differ) > 0 {
			p.Errorf("parity is %+v", out.Parity)
		}
		<-done
	}
	l.Produce(recs[170:]...)
	l.CaughtUp(p, asked)
	stop()
	beside.Wait()
	p.whole(asked, recs)
	p.goOn(l, s, recs)
}

// keepWriting runs a writer again and again, as a unit does.
func (p *place) keepWriting(ctx context.Context, l *projectiontest.Log, s analytics.Store) {
	cfg := settings(l)
	cfg.Batch = 10
	for ctx.Err() == nil {
		err := projection.NewWriter(s).Run(ctx, cfg)
		if err != nil && !errors.Is(err, projection.ErrFenced) && !errors.Is(err, projection.ErrUnavailable) && ctx.Err() == nil {
			p.Errorf("the writer ended with %v", err)
		}
		select {
		case <-time.After(3 * time.Second):
		case <-ctx.Done():
		}
	}
}

// keepAsking makes sure that there are never fewer rows than there were.
func (p *place) keepAsking(ctx context.Context, s analytics.Store) {
	asks, had := 0, map[string]int64{}
	for ctx.Err() == nil {
		for _, t := range []string{"events", "event_crossing_booked", "view_travellers", "saga_cross"} {
			r, err := s.Select(ctx, "SELECT count(*) FROM `"+t+"`", nil, 0)
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				p.Errorf("a question was not answered: %v", err)
				return
			}
			n, _ := r.Rows[0][0].(int64)
			if n < had[t] {
				p.Errorf("there were %d rows of %s, and then %d", had[t], t, n)
			}
			had[t] = n
			asks++
		}
		time.Sleep(time.Millisecond)
	}
	if asks < 100 {
		p.Errorf("it was asked %d times only", asks)
	}
}

// hurried is a store to which somebody writes just before it is claimed, and swapped.
type hurried struct {
	analytics.Swappable
	write func()
}

func (h hurried) Claim(ctx context.Context, n int32, read []projection.Cursor) (projection.Claim, error) {
	h.write()
	return h.Swappable.Claim(ctx, n, read)
}

func (h hurried) Swap(ctx context.Context, newest int64) error {
	h.write()
	return h.Swappable.Swap(ctx, newest)
}

// Unwrap is the store itself.
func (h hurried) Unwrap() analytics.Store { return h.Swappable }

// writtenJustBeforeASwap is in the tables as soon as they answer.
func writtenJustBeforeASwap(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 40)
	l.Produce(recs[:20]...)
	p.catchUp(l, s)
	told, live := 20, p.store()
	r := p.rebuilding(l, s)
	r.Live = hurried{s, func() {
		if told == 100 {
			return
		}
		l.Produce(recs[told : told+20]...)
		told += 20
		p.catchUp(l, live)
	}}
	if _, err := r.Run(ctx); err != nil || told != 100 {
		p.Fatalf("it ended with %v, after %d records", err, told)
	}
	p.whole(s, recs[:told])
	l.Produce(recs[told:]...)
	p.goOn(l, s, recs)
}

// swappedUnderAFrozenWriter freezes a writer before its second write, and swaps.
func swappedUnderAFrozenWriter(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.swappable()
	recs := sail(l, 20)
	l.Produce(recs...)
	frozen := &freezer{Sink: p.store(), froze: make(chan struct{}), thaw: make(chan struct{})}
	cfg := settings(l)
	cfg.Batch = 10
	ended := make(chan error, 1)
	go func() { ended <- projection.NewWriter(frozen).Run(ctx, cfg) }()
	<-frozen.froze
	p.rebuilt(l, s)
	close(frozen.thaw)
	select {
	case err := <-ended:
		if !errors.Is(err, projection.ErrFenced) {
			p.Errorf("the writer ended with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		p.Fatal("the writer goes on in tables that were swapped")
	}
	p.whole(s, recs)
	p.goOn(l, s, recs)
}

// swappedUnderAHalfWrittenBlock has a writer send the rows of a block after the tables were
// swapped under it.
func swappedUnderAHalfWrittenBlock(p *place) {
	if p.Hold == nil {
		p.Skip("this store writes a block in one step")
	}
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 20)
	l.Produce(recs[:30]...)
	p.catchUp(l, s)
	before, err := s.Newest(ctx)
	if err != nil {
		p.Fatal(err)
	}
	release := p.Hold(p)
	l.Produce(recs[30:]...)
	ended := make(chan error, 1)
	go func() { ended <- projection.NewWriter(s).Run(ctx, settings(l)) }()
	direct, err := p.Direct(schemaOf(p, ferry()))
	if err != nil {
		p.Fatal(err)
	}
	defer direct.Close()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if n, err := direct.Newest(ctx); err != nil || time.Now().After(end) {
			p.Fatalf("no block is on its way: %v", err)
		} else if n > before+1 { // beside the claim
			break
		}
	}
	p.rebuilt(l, direct.(analytics.Swappable))
	release()
	select {
	case err := <-ended:
		if !errors.Is(err, projection.ErrFenced) {
			p.Errorf("the writer ended with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		p.Fatal("the writer goes on in tables that were swapped")
	}
	p.whole(direct, recs)
	p.goOn(l, s, recs)
}
