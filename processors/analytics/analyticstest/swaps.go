package analyticstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

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
	frozen, ended := p.frozen(l)
	p.rebuilt(l, s)
	close(frozen.thaw)
	p.fenced(ended)
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
	p.fenced(ended)
	p.whole(direct, recs)
	p.goOn(l, s, recs)
}

// killedWithinASwap ends a swap at its steps. Nobody writes the tables until it is finished,
// and they answer.
func killedWithinASwap(p *place) {
	if p.BreakSwap == nil {
		p.Skip("this store swaps in one step")
	}
	for _, nth := range []int{1, 2, 8, 15, 17} {
		for _, done := range []bool{false, true} {
			p.Run(fmt.Sprintf("at step %d, done %t", nth, done), func(t *testing.T) {
				q := p.another(t)
				l, s := projectiontest.NewLogOf(t, ferry()), q.swappable()
				recs := sail(l, 8)
				l.Produce(recs...)
				q.catchUp(l, s)
				release := q.BreakSwap(t, nth, done)
				_, err := q.rebuilding(l, s).Run(ctx)
				if met := release(); !met || err == nil {
					t.Skipf("it ended with %v before step %d", err, nth)
				}
				if b, err := s.Beside(ctx); err != nil {
					t.Error(err)
				} else if b.Half {
					t.Logf("half done: %+v", b)
				}
				q.whole0(s, recs)
				q.rebuilt(l, s)
				q.whole(s, recs)
				q.goOn(l, s, recs)
			})
		}
	}
}

// whole0 makes sure that the events of some records are there, whatever the ledger says.
func (p *place) whole0(s analytics.Store, recs []*kgo.Record) {
	p.Helper()
	var got []string
	for _, row := range p.ask(s, "SELECT `id` FROM `events`") {
		got = append(got, fmt.Sprint(row...))
	}
	if want := events(p, recs); len(want) != len(got) {
		p.Errorf("there are %d events, want %d", len(got), len(want))
	}
}
