package simulate

import (
	"context"
	"errors"
	"flag"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// Story is how one saga of a simulated day ended.
type Story struct {
	Saga      string        `json:"saga"`
	Subject   string        `json:"subject"` // what it is about: the key of the event that began it
	Began     time.Time     `json:"began"`   // in virtual time, by the lane
	Took      time.Duration `json:"took_ns"`
	Events    int           `json:"events"`     // all services together
	Ended     string        `json:"ended"`      // the type of the event that ended it; empty: it did not end
	TakenBack bool          `json:"taken_back"` // something was
}

// Day is one simulated run of the business.
type Day struct {
	*streamtest.Outcome
	Sagas []Story
}

// Run lives through one schedule of the whole business, which draw makes. It
// needs the build tag synctests, is for programs that are not tests, and may be
// called once.
func Run(b *business.Business, draw func(*streamtest.Simulation) streamtest.Schedule) (Day, error) {
	var d Day
	s, err := newDays(b, func(o Story) { d.Sagas = append(d.Sagas, o) })
	if err != nil {
		return d, err
	}
	failed, err := inTest(func(t *testing.T) { d.Outcome = s.Run(t, draw(s)) })
	if err == nil && (failed || d.Outcome == nil) {
		err = errors.New("the simulation could not run: build weir with make build, which sets the tag that it needs")
	}
	return d, err
}

// inTest runs f as a test, since only tests have bubbles of virtual time. The
// test framework would end the process after it, so it is left waiting for ever,
// once per process.
func inTest(f func(*testing.T)) (failed bool, err error) {
	testing.Init()
	if err := flag.CommandLine.Parse(nil); err != nil { // or it would parse weir's own arguments
		return false, err
	}
	ended := make(chan bool)
	test := testing.InternalTest{Name: "simulate", F: func(t *testing.T) {
		defer func() {
			ended <- t.Failed()
			select {}
		}()
		f(t)
	}}
	go testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{test}, nil, nil)
	return <-ended, nil
}

// stories reads from the stores how the sagas ended.
func (b *days) stories(ctx context.Context, in verify.Input) []Story {
	found := map[string]*Story{}
	for _, store := range in.Stores {
		for lane := range in.Partitions {
			// What cannot be read is for the audit to tell.
			_ = store.Outbox(ctx, lane, 0, math.MaxInt, func(e streams.StoredEvent) error {
				env, err := e.Envelope()
				if err == nil {
					b.take(found, env)
				}
				return err
			})
		}
	}
	out := make([]Story, 0, len(found))
	for _, o := range found {
		if !o.Began.IsZero() {
			if o.Ended != "" {
				o.Took -= time.Duration(o.Began.UnixNano())
			}
			out = append(out, *o)
		}
	}
	slices.SortFunc(out, func(a, b Story) int {
		return strings.Compare(a.Began.Format(time.RFC3339Nano)+a.Subject, b.Began.Format(time.RFC3339Nano)+b.Subject)
	})
	return out
}

// take takes an event to the story of its saga. Until all are read, Took is when it ended.
func (b *days) take(found map[string]*Story, env streams.Envelope) {
	o := found[env.Saga()]
	if o == nil {
		o = &Story{}
		found[env.Saga()] = o
	}
	o.Events++
	is := func(events []streams.Event) bool {
		return slices.ContainsFunc(events, func(e streams.Event) bool { return b.topology.Name(e) == env.Type })
	}
	for _, s := range b.business.Sagas {
		if b.topology.Name(s.Starts) == env.Type {
			o.Saga, o.Subject, o.Began = s.Name, env.Key, env.Time
		}
		if is(s.Ends) {
			o.Ended, o.Took = env.Type, time.Duration(env.Time.UnixNano())
		}
		o.TakenBack = o.TakenBack || is(s.Undo)
	}
}
