package analyticstest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// perLife are the crossings that are new in each life of a writer.
const perLife = 6

// Arm chooses the point at which a writer is killed. It is told how, and answers what to do
// once it is dead: whether it died so.
type Arm func(t testing.TB, kill func()) (dead func() bool)

// Kills has a writer live until it was killed so many times. What is in the store then is
// what the log says.
func Kills(t *testing.T, empty func(testing.TB) Place, kills int, arm Arm) {
	p := &place{T: t, Place: empty(t), empty: empty}
	s, recs, died, found := p.kills(kills, patience, arm, func(s projection.Sink) projection.Sink { return s })
	if died < kills {
		t.Errorf("%d lives of %d ended as they were to", died, mostLives(kills))
	}
	p.whole(s, recs)
	for _, d := range found {
		t.Errorf("after %d kills: %v", kills, d)
	}
}

// KillsOf has a writer with a mistake live likewise, and answers what is found of it.
func KillsOf(t *testing.T, empty func(testing.TB) Place, kills int, arm Arm, mistake func(projection.Sink) projection.Sink) []analytics.Difference {
	p := &place{T: t, Place: empty(t), empty: empty}
	_, _, _, found := p.kills(kills, lifeOfMistake, arm, mistake)
	return found
}

// lifeOfMistake ends the life of a writer that takes itself for done, and is not.
const lifeOfMistake = 3 * time.Second

// mostLives are as many as there may be until a writer was killed so many times: some end
// before they come to the point.
func mostLives(kills int) int { return 2*kills + 20 }

func (p *place) kills(kills int, longest time.Duration, arm Arm, through func(projection.Sink) projection.Sink) (s analytics.Store, recs []*kgo.Record, died int, found []analytics.Difference) {
	l := projectiontest.NewLogOf(p, ferry())
	recs = sail(l, perLife*kills)
	each, began, sent, lived := len(recs)/kills+1, time.Now(), 0, 0
	for ; died < kills && lived < mostLives(kills); lived++ {
		to := min(sent+each, len(recs))
		l.Produce(recs[sent:to]...)
		sent = to
		if p.life(l, longest, arm, through) {
			died++
		}
	}
	l.Produce(recs[sent:]...)
	s = p.store()
	if err := p.read(l, s, s, large(l)); err != nil { // the dead may have left much
		p.Fatal(err)
	}
	r := analytics.Reconciler{Store: s, Schema: schemaOf(p, ferry()), Client: l.Config().Client}
	found, err := r.All(ctx, nil)
	if err != nil {
		p.Fatal(err)
	}
	p.Logf("%d kills in %d lives, %d records, %d found, in %v", died, lived, len(recs), len(found), time.Since(began).Round(time.Second))
	return s, recs, died, found
}

// life is one of a writer: until it is killed, or has read all.
func (p *place) life(l *projectiontest.Log, longest time.Duration, arm Arm, through func(projection.Sink) projection.Sink) (killed bool) {
	s, err := p.Open(schemaOf(p, ferry()))
	if err != nil {
		p.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	dead := arm(p, cancel)
	ended := make(chan error, 1)
	go func() { ended <- projection.NewWriter(through(s)).Run(ctx, settings(l)) }()
	for {
		select {
		case <-ended:
			return dead()
		case <-time.After(20 * time.Millisecond):
		}
		if behind, err := l.Behind(s); err == nil && behind == "" {
			cancel()
			<-ended
			return dead()
		}
	}
}
