package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

var writerCases = []testCase{
	{"TheSecondWriterFencesTheFirst", theSecondWriterFencesTheFirst},
	{"AZombieChangesNothing", aZombieChangesNothing},
	{"AClaimFences", aClaimFences},
	{"ATopicOfWhichNothingWasRead", aTopicOfWhichNothingWasRead},
}

// A Run freezes before it writes, and another process begins and goes far
// beyond it. When it thaws it ends, and has changed nothing.
func theSecondWriterFencesTheFirst(p *place) {
	l, s := NewLog(p), p.model()
	recs := l.Lend(30)
	frozen := &freezer{Store: p.model().Store, froze: make(chan struct{}), thaw: make(chan struct{})}
	first := projection.New(frozen)
	l.Produce(recs[:40]...)
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx, l.Config(Deposit)) }()
	<-frozen.froze
	if err := first.Run(ctx, l.Config()); err == nil {
		p.Error("a second Run of one model was let in")
	}
	stop := Start(p, s, l.Config(Deposit))
	l.Produce(recs[40:]...)
	l.CaughtUp(p, s)
	close(frozen.thaw)
	select {
	case err := <-ended:
		if !errors.Is(err, projection.ErrFenced) {
			p.Errorf("the first writer stopped with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		p.Fatal("the first writer goes on beside the second")
	}
	l.Produce(outside("dock", "afterwards", "A"))
	l.CaughtUp(p, s)
	if err := stop(); err != nil {
		p.Fatal(err)
	}
	fresh := p.another()
	l.CatchUp(p, fresh, l.Config(Deposit))
	Differ(p, Answers(p, fresh), Answers(p, s))
}

// freezer is a writer that stands still before its first write.
type freezer struct {
	projection.Store
	froze, thaw chan struct{}
	once        sync.Once
}

func (f *freezer) Write(ctx context.Context, b *projection.Batch) error {
	f.once.Do(func() { close(f.froze) })
	<-f.thaw
	return f.Store.Write(ctx, b)
}

// A zombie writes what it read long ago, when the one that has claimed since is
// far beyond it.
func aZombieChangesNothing(p *place) {
	l, s := NewLog(p), p.model()
	recs := l.Lend(30)
	old := &recorder{Store: s.Store}
	l.Produce(recs[:60]...)
	l.CatchUp(p, projection.New(old), l.Config(Deposit))
	l.Produce(recs[60:]...)
	l.CatchUp(p, s, l.Config(Deposit))
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

// A claim fences even a writer whose cursors are where they were.
func aClaimFences(p *place) {
	s := p.model()
	read := []projection.Cursor{{Topic: "desk.loan", TopicID: [16]byte{1}}}
	old, err := s.Claim(ctx, Partitions, read)
	if err != nil {
		p.Fatal(err)
	}
	owner, err := s.Claim(ctx, Partitions, read)
	if err != nil || owner.Epoch <= old.Epoch {
		p.Fatalf("epoch %d after %d (%v)", owner.Epoch, old.Epoch, err)
	}
	if err := s.Write(ctx, Batch(old.Epoch, 0, 5)); !errors.Is(err, projection.ErrFenced) {
		p.Errorf("the fenced writer: got error %v, want ErrFenced", err)
	}
	for _, b := range []*projection.Batch{Batch(owner.Epoch, 0, 5), Batch(owner.Epoch, 5, 10)} {
		if err := s.Write(ctx, b); err != nil {
			p.Fatal(err)
		}
	}
	sagas, err := s.Saga(ctx, "c")
	if err != nil || sagas[0].Events != 15 {
		p.Errorf("sagas are %+v, want one of 15 events (%v)", sagas, err)
	}
	if err := s.Write(ctx, Batch(owner.Epoch, 7, 10)); !errors.Is(err, projection.ErrFenced) {
		p.Errorf("from where no cursor is: got error %v, want ErrFenced", err)
	}
}

// Batch is a batch of n events of one loan, its member and its saga, from an offset on.
func Batch(epoch, offset, n int64) *projection.Batch {
	b := &projection.Batch{Epoch: epoch, Moves: []projection.Move{{Topic: "desk.loan", From: offset, Next: offset + n, Seen: map[streams.Lane]int64{"desk/0/i1": offset + n}}}}
	for i := offset; i < offset+n; i++ {
		b.Events = append(b.Events, projection.Event{About: map[string]string{"loan": "o1"}, Starts: []projection.Start{{Name: "lend", Due: noon}},
			Changes: []projection.Change{
				{View: "loans", Key: "o1", Begins: true, Fields: []projection.Field{{Column: projection.ColumnOf("delayed_at"), Value: i}}},
				{View: "members", Key: "ada", Begins: true, Fields: []projection.Field{{Column: projection.ColumnOf("loans"), Op: projection.Add, Value: int64(1)}}}},
			Entry: projection.Entry{ID: fmt.Sprint("e", i), Type: "loan.delayed", Kind: "loan", Key: "o1", Correlation: "c", Time: noon.Add(time.Duration(i)),
				Topic: "desk.loan", Offset: i, Lane: "desk/0/i1", Seq: i + 1, Data: []byte("{}")}})
	}
	return b
}

// Nothing was read of a topic that was made anew before its first record: then
// it is a topic like any other.
func aTopicOfWhichNothingWasRead(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	l.CatchUp(p, s, l.Config())
	if _, err := l.admin().DeleteTopic(ctx, "till.loan"); err != nil {
		p.Fatal(err)
	}
	if _, err := l.admin().CreateTopic(ctx, Partitions, 1, nil, "till.loan"); err != nil {
		p.Fatal(err)
	}
	pay := l.Writer("till", 0)
	pay.Emit("c1", DepositPaid{Loan: "o1"})
	readAll(p, s, l.Config(), pay.last)
}
