package analyticstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams"
)

var runCases = []testCase{
	{"AWriteThatFails", aWriteThatFails},
	{"AWriteThatFailsWithin", aWriteThatFailsWithin},
	{"TheStoreIsAway", theStoreIsAway},
	{"ARunThatBeginsEarlier", aRunThatBeginsEarlier},
	{"TheSecondWriterFencesTheFirst", theSecondWriterFencesTheFirst},
	{"TwoWritersAtOnce", twoWritersAtOnce},
	{"AnotherPartitionCountIsRefused", anotherPartitionCountIsRefused},
	{"ABatchThatGoesNowhere", aBatchThatGoesNowhere},
	{"IdsFromOutsideAreForgotten", idsFromOutsideAreForgotten},
	{"PrunedOfWhatIsOld", prunedOfWhatIsOld},
}

// errKilled ends a Run in the middle, as a signal would.
var errKilled = errors.New("killed")

// failing is a sink of which one write fails.
type failing struct {
	projection.Sink
	mu    sync.Mutex
	write int   // the write that fails, 1 and up
	after bool  // it is done, and not acknowledged
	err   error // with which it fails
}

func (f *failing) Write(ctx context.Context, b *projection.Batch) error {
	f.mu.Lock()
	f.write--
	now := f.write == 0
	f.mu.Unlock()
	if !now {
		return f.Sink.Write(ctx, b)
	}
	if f.after {
		if err := f.Sink.Write(ctx, b); err != nil {
			return err
		}
	}
	return f.err
}

// aWriteThatFails ends a Run, or has it try again, before a write and after it.
func aWriteThatFails(p *place) {
	for _, write := range []int{1, 3} {
		for _, after := range []bool{false, true} {
			for _, err := range []error{errKilled, projection.ErrUnavailable} {
				p.Run(fmt.Sprintf("%v at write %d, done %t", err, write, after), func(t *testing.T) {
					q := p.another(t)
					l, s := projectiontest.NewLogOf(t, ferry()), q.store()
					recs := sail(l, 20)
					l.Produce(recs...)
					got := q.read(l, s, &failing{Sink: s, write: write, after: after, err: err}, settings(l))
					if killed := err == errKilled; got != nil && !(killed && errors.Is(got, err)) || got == nil && killed && !after { // a last write that is done may end it first
						t.Fatalf("the Run ended with %v", got)
					}
					q.goOn(l, s, recs)
				})
			}
		}
	}
}

// goOn opens the store once more, as a process does that was started again, and has it
// read what is missing, and what comes afterwards.
func (p *place) goOn(l *projectiontest.Log, s analytics.Store, recs []*kgo.Record) {
	p.Helper()
	if err := s.Close(); err != nil {
		p.Fatal(err)
	}
	s = p.store()
	p.catchUp(l, s)
	p.whole(s, recs)
	last := weather("buoy", "the last", "h7", 3)
	l.Produce(last)
	p.catchUp(l, s)
	p.whole(s, append(recs[:len(recs):len(recs)], last))
}

// aWriteThatFailsWithin fails where only the store itself can.
func aWriteThatFailsWithin(p *place) {
	if len(p.Faults) == 0 {
		p.Skip("this store has no points at which a write can fail")
	}
	for i, f := range p.Faults {
		p.Run(f.Name, func(t *testing.T) {
			q := p.another(t)
			l, s := projectiontest.NewLogOf(t, ferry()), q.store()
			recs := sail(l, 20)
			l.Produce(recs[:20]...)
			q.catchUp(l, s)
			l.Produce(recs[20:]...)
			arm := func() { q.Faults[i].Arm(t, s) }
			if err := q.read(l, s, &armed{Sink: s, arm: arm}, large(l)); err != nil {
				t.Logf("the Run ended with %v", err)
			}
			q.goOn(l, s, recs)
		})
	}
}

// armed is a sink whose first write meets a fault.
type armed struct {
	projection.Sink
	arm  func()
	once sync.Once
}

func (a *armed) Write(ctx context.Context, b *projection.Batch) error {
	a.once.Do(a.arm)
	return a.Sink.Write(ctx, b)
}

// away is a sink whose store serves nobody for a while.
type away struct {
	projection.Sink
	until time.Time
}

func (a *away) down() error {
	if time.Now().Before(a.until) {
		return fmt.Errorf("for a while: %w", projection.ErrUnavailable)
	}
	return nil
}

func (a *away) Claim(ctx context.Context, n int32, read []projection.Cursor) (projection.Claim, error) {
	if err := a.down(); err != nil {
		return projection.Claim{}, err
	}
	return a.Sink.Claim(ctx, n, read)
}

func (a *away) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	if err := a.down(); err != nil {
		return nil, err
	}
	return a.Sink.Known(ctx, ids)
}

func (a *away) Write(ctx context.Context, b *projection.Batch) error {
	if err := a.down(); err != nil {
		return err
	}
	return a.Sink.Write(ctx, b)
}

func theStoreIsAway(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 20)
	l.Produce(recs...)
	if err := p.read(l, s, &away{s, time.Now().Add(500 * time.Millisecond)}, settings(l)); err != nil {
		p.Fatal(err)
	}
	p.whole(s, recs)
	if err := s.Ping(ctx); err != nil {
		p.Error(err)
	}
}

// rewound is a sink that tells a Run to begin at the beginning.
type rewound struct{ projection.Sink }

func (r rewound) Claim(ctx context.Context, n int32, read []projection.Cursor) (projection.Claim, error) {
	c, err := r.Sink.Claim(ctx, n, read)
	for i := range c.Cursors {
		c.Cursors[i].Next, c.Cursors[i].Seen = 0, nil
	}
	return c, err
}

// aRunThatBeginsEarlier ends, and writes nothing twice.
func aRunThatBeginsEarlier(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 20)
	l.Produce(recs...)
	p.catchUp(l, s)
	for _, batch := range []int{3, 40, 100_000} {
		cfg := settings(l)
		cfg.Batch = batch
		ended := make(chan error, 1)
		stop := projectiontest.Start(p, runner(func(ctx context.Context, cfg projection.Config) error {
			err := projection.NewWriter(rewound{s}).Run(ctx, cfg)
			ended <- err
			return err
		}), cfg)
		select {
		case err := <-ended:
			if err == nil || errors.Is(err, projection.ErrUnavailable) {
				p.Errorf("it ended with %v", err)
			}
		case <-time.After(patience):
			p.Error("it goes on")
		}
		stop()
		p.whole(s, recs)
	}
	p.goOn(l, s, recs)
}

type runner func(context.Context, projection.Config) error

func runOf(s projection.Sink) runner {
	return func(ctx context.Context, cfg projection.Config) error { return projection.NewWriter(s).Run(ctx, cfg) }
}

// Run runs it.
func (r runner) Run(ctx context.Context, cfg projection.Config) error { return r(ctx, cfg) }

// freezer is a writer that stands still before its second write.
type freezer struct {
	projection.Sink
	froze, thaw chan struct{}
	writes      int
}

func (f *freezer) Write(ctx context.Context, b *projection.Batch) error {
	if f.writes++; f.writes == 2 {
		close(f.froze)
		<-f.thaw
	}
	return f.Sink.Write(ctx, b)
}

// frozen is a writer that stands still before its second write, and how it ends.
func (p *place) frozen(l *projectiontest.Log) (f *freezer, ended <-chan error) {
	f = &freezer{Sink: p.store(), froze: make(chan struct{}), thaw: make(chan struct{})}
	cfg := settings(l)
	cfg.Batch = 10
	end := make(chan error, 1)
	go func() { end <- projection.NewWriter(f).Run(ctx, cfg) }()
	<-f.froze
	return f, end
}

// fenced wants a writer to end as one that another has fenced.
func (p *place) fenced(ended <-chan error) {
	p.Helper()
	select {
	case err := <-ended:
		if !errors.Is(err, projection.ErrFenced) {
			p.Errorf("the writer ended with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		p.Fatal("the writer goes on, and its tables are another's")
	}
}

func theSecondWriterFencesTheFirst(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 30)
	l.Produce(recs[:60]...)
	frozen, ended := p.frozen(l)
	l.Produce(recs[60:]...)
	p.catchUp(l, s)
	close(frozen.thaw)
	p.fenced(ended)
	p.whole(s, recs)
	p.goOn(l, s, recs)
}

// twoWritersAtOnce claim from one another until both have tried some times.
func twoWritersAtOnce(p *place) {
	l := projectiontest.NewLogOf(p, ferry())
	recs := sail(l, 40)
	cfg := settings(l)
	cfg.Batch = 5
	var both sync.WaitGroup
	for range 2 {
		s := p.store()
		both.Go(func() {
			for range 4 {
				some, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
				if err := projection.NewWriter(s).Run(some, cfg); err != nil && !errors.Is(err, projection.ErrFenced) {
					p.Errorf("a writer ended with %v", err)
				}
				cancel()
			}
		})
	}
	for i := range recs {
		l.Produce(recs[i])
		if i%10 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	both.Wait()
	p.goOn(l, p.store(), recs)
}

func anotherPartitionCountIsRefused(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 5)
	l.Produce(recs...)
	p.catchUp(l, s)
	for _, n := range []int32{projectiontest.Partitions - 1, projectiontest.Partitions + 1} {
		if _, err := s.Claim(ctx, n, nil); err == nil || errors.Is(err, projection.ErrUnavailable) {
			p.Errorf("%d partitions were claimed (%v)", n, err)
		}
	}
	p.goOn(l, s, recs)
}

// aBatchThatGoesNowhere is how a Run tells trouble of the store from that of a record.
func aBatchThatGoesNowhere(p *place) {
	l, s := projectiontest.NewLogOf(p, ferry()), p.store()
	recs := sail(l, 5)
	l.Produce(recs...)
	p.catchUp(l, s)
	c, err := s.Claim(ctx, projectiontest.Partitions, nil)
	if err != nil || len(c.Cursors) == 0 {
		p.Fatalf("claimed are %d cursors (%v)", len(c.Cursors), err)
	}
	at := c.Cursors[0]
	here := projection.Move{Topic: at.Topic, Partition: at.Partition, From: at.Next, Next: at.Next}
	skipped := []projection.Skipped{{Topic: at.Topic, Partition: at.Partition, Offset: at.Next, At: time.Now(), Reason: "it is odd"}}
	for range 2 {
		if err := s.Write(ctx, &projection.Batch{Epoch: c.Epoch, Moves: []projection.Move{here}, Skipped: skipped}); err != nil {
			p.Error(err)
		}
	}
	away := here
	away.From, away.Next = at.Next+1, at.Next+2
	if err := s.Write(ctx, &projection.Batch{Epoch: c.Epoch, Moves: []projection.Move{away}}); err == nil || errors.Is(err, projection.ErrUnavailable) {
		p.Errorf("written from where no cursor is (%v)", err)
	}
	p.goOn(l, s, recs)
}

func idsFromOutsideAreForgotten(p *place) {
	s := p.store()
	topic := projection.Cursor{Topic: "external.harbour", TopicID: [16]byte{1}}
	c, err := s.Claim(ctx, projectiontest.Partitions, []projection.Cursor{topic})
	if err != nil {
		p.Fatal(err)
	}
	noon := time.Now().Truncate(time.Hour)
	for i := range int64(3) {
		id := streams.ExternalID{Source: "buoy", ID: fmt.Sprint("w", i), At: noon.Add(time.Duration(i) * time.Hour)}
		e := projection.Event{Entry: projection.Entry{ID: id.ID, Type: "weather.told", Source: id.Source, Kind: "harbour", Key: "h1", Time: id.At, Topic: topic.Topic, Offset: i, Data: []byte("{}")}}
		b := &projection.Batch{Epoch: c.Epoch, Events: []projection.Event{e}, Externals: []streams.ExternalID{id}, Forget: id.At.Add(-90 * time.Minute),
			Moves: []projection.Move{{Topic: topic.Topic, From: i, Next: i + 1}}}
		if err := s.Write(ctx, b); err != nil {
			p.Fatal(err)
		}
	}
	ask := []streams.ExternalID{{Source: "buoy", ID: "w1"}, {Source: "buoy", ID: "w2"}, {Source: "mast", ID: "w2"}, {Source: "buoy", ID: "w3"}}
	known, err := s.Known(ctx, ask)
	if err != nil || len(known) != 2 || !known[ask[0]] || !known[ask[1]] {
		p.Errorf("known are %v (%v)", known, err)
	}
}

// prunedOfWhatIsOld keeps what documents have become, and what is counted: a writer goes
// on as if nothing had been there.
func prunedOfWhatIsOld(p *place) {
	l, s := p.sailed()
	crossings := p.ask(s, "SELECT count(*), count(DISTINCT `_key`) FROM `view_crossings`")
	if err := s.Prune(ctx, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		p.Fatal(err)
	}
	p.blocksFit(s)
	p.hoursFit(s)
	if err := s.Prune(ctx, time.Now().AddDate(1, 0, 0)); err != nil {
		p.Fatal(err)
	}
	p.same("what is said of crossings", p.ask(s, "SELECT count(*), count(DISTINCT `_key`) FROM `view_crossings`"), line(crossings[0]))
	before := p.ask(s, "SELECT count(*) FROM `events`")[0][0].(int64)
	l.Produce(weather("buoy", "afterwards", "h1", 1))
	p.catchUp(l, s)
	if after := p.ask(s, "SELECT count(*) FROM `events`")[0][0].(int64); after != before+1 {
		p.Errorf("%d events, and with one more %d", before, after)
	}
}
