package projectiontest

import (
	"context"
	"errors"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
)

var writerCases = []testCase{
	{"TheSecondWriterFencesTheFirst", theSecondWriterFencesTheFirst},
	{"AZombieChangesNothing", aZombieChangesNothing},
	{"ATopicOfWhichNothingWasRead", aTopicOfWhichNothingWasRead},
}

// One Run goes on while another process begins: the first ends, the second
// has it, and between them nothing is lost or counted twice.
func theSecondWriterFencesTheFirst(p *place) {
	l, a, b := NewLog(p), p.model(), p.model()
	recs := l.Shop(30)
	first := make(chan error, 1)
	go func() { first <- a.Run(ctx, l.Config(Payment)) }()
	l.Produce(recs[:40]...)
	l.caughtUp(p, a)
	if err := a.Run(ctx, l.Config()); err == nil {
		p.Error("a second Run of one model was let in")
	}
	stop := Start(p, b, l.Config(Payment))
	l.Produce(recs[40:]...)
	select {
	case err := <-first:
		if !errors.Is(err, projection.ErrFenced) {
			p.Errorf("the first writer stopped with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		p.Fatal("the first writer goes on beside the second")
	}
	l.caughtUp(p, b)
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	fresh := p.another()
	l.CatchUp(p, fresh, l.Config(Payment))
	Differ(p, Answers(p, fresh), Answers(p, b))
}

// A zombie writes what it read long ago, when the one that has claimed since is
// far beyond it.
func aZombieChangesNothing(p *place) {
	l, s := NewLog(p), p.model()
	recs := l.Shop(30)
	old := &recorder{Store: s.Store}
	l.Produce(recs[:60]...)
	l.CatchUp(p, projection.New(old), l.Config(Payment))
	l.Produce(recs[60:]...)
	l.CatchUp(p, s, l.Config(Payment))
	want := Answers(p, s)
	for _, b := range old.batches {
		if err := s.Write(ctx, b); !errors.Is(err, projection.ErrFenced) {
			p.Errorf("a zombie's batch: got error %v, want ErrFenced", err)
		}
	}
	Differ(p, want, Answers(p, s))
	if len(old.batches) == 0 {
		p.Error("the zombie had nothing to say")
	}
	l.Produce(outside("dock", "afterwards", "A"))
	l.CatchUp(p, s, l.Config(Payment)) // and the owner's cursors are where they were
}

// recorder keeps the batches that were written.
type recorder struct {
	projection.Store
	batches []*projection.Batch
}

func (r *recorder) Write(ctx context.Context, b *projection.Batch) error {
	r.batches = append(r.batches, b)
	return r.Store.Write(ctx, b)
}

// Nothing was read of a topic that was made anew before its first record: then
// it is a topic like any other.
func aTopicOfWhichNothingWasRead(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("order", 0)
	w.Emit("c1", Placed("o1", "ada"))
	l.CatchUp(p, s, l.Config())
	if _, err := l.admin().DeleteTopic(ctx, "payment.order"); err != nil {
		p.Fatal(err)
	}
	if _, err := l.admin().CreateTopic(ctx, partitions, 1, nil, "payment.order"); err != nil {
		p.Fatal(err)
	}
	pay := l.Writer("payment", 0)
	pay.Emit("c1", event.PaymentAuthorised{Order: "o1"})
	ReadAll(p, s, l.Config(), pay.Last)
}
