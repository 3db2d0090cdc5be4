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
	{"WrittenAnewWhereTheLogIsGone", writtenAnewWhereTheLogIsGone},
	{"KilledWhileWrittenAnew", killedWhileWrittenAnew},
	{"WrittenAnewBesideAWriter", writtenAnewBesideAWriter},
	{"WrittenJustBeforeASwap", writtenJustBeforeASwap},
	{"SwappedUnderAFrozenWriter", swappedUnderAFrozenWriter},
	{"KilledWithinASwap", killedWithinASwap},
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

// writtenAnewWhereTheLogIsGone has a log that was trimmed, or whose topics are others.
func writtenAnewWhereTheLogIsGone(p *place) {
	for name, lose := range map[string]func(*projectiontest.Log){"trimmed": func(l *projectiontest.Log) { l.Trim(0.7) }, "made anew": (*projectiontest.Log).Again} {
		p.Run(name, func(t *testing.T) {
			q := p.another(t)
			l, s := projectiontest.NewLogOf(t, ferry()), q.swappable()
			recs := sail(l, 20)
			l.Produce(recs...)
			q.catchUp(l, s)
			lose(l)
			r := q.rebuilding(l, s)
			if _, err := r.Run(ctx); err == nil {
				t.Error("it was done without what is gone")
			}
			r.Config.Stores = projectiontest.Stores(t, recs, "harbour", "purser")
			if _, err := r.Run(ctx); err != nil {
				t.Fatal(err)
			}
			q.whole(s, recs)
			q.goOn(l, s, recs)
			q.proved(l, q.store())
		})
	}
}
