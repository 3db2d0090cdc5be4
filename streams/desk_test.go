package streams_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The desk is the test business of timers and effects: opening a case rings up
// somebody outside, and closes it by itself if nobody answered in time.

type openCase struct {
	Account account       `json:"account"`
	Within  time.Duration `json:"within"`
}

func (o openCase) Key() streams.Key { return o.Account }

type caseOpened struct{ Account account }

func (e caseOpened) Key() streams.Key { return e.Account }

type caseAnswered struct {
	Account account
	Answer  string
}

func (e caseAnswered) Key() streams.Key { return e.Account }

type caseExpired struct{ Account account }

func (e caseExpired) Key() streams.Key { return e.Account }

// closedOutside comes from the log and cancels the timer.
type closedOutside struct {
	Account account `json:"account"`
}

func (e closedOutside) Key() streams.Key { return e.Account }

type ringUp struct {
	Account account
	Step    int
}
type ringAnswer struct{ Text string }

type deskState struct {
	Open bool
	Log  []string
}

func (s deskState) evolve(e streams.Event) deskState {
	switch e := e.(type) {
	case caseOpened:
		s.Open = true
	case caseAnswered:
		s.Log = append(s.Log, "answer "+e.Answer)
	case caseExpired:
		s.Open, s.Log = false, append(s.Log, "expired")
	}
	return s
}

// outsider answers the desk's calls.
type outsider struct {
	mu      sync.Mutex
	calls   []string // idempotency keys, in order
	running map[string]int
	overlap bool
	reply   func(n int, key string) (string, error)
}

func (o *outsider) call(ctx context.Context, key string, i ringUp) (ringAnswer, error) {
	o.mu.Lock()
	o.calls = append(o.calls, key)
	n := len(o.calls)
	o.running[string(i.Account)]++
	o.overlap = o.overlap || o.running[string(i.Account)] > 1
	reply := o.reply
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.running[string(i.Account)]--
		o.mu.Unlock()
	}()
	time.Sleep(20 * time.Millisecond)
	text, err := reply(n, key)
	return ringAnswer{text}, err
}

func (o *outsider) seen() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.calls...)
}

// desk builds the topology around an outsider.
func desk(t *testing.T, o *outsider) *streams.Topology {
	t.Helper()
	o.running = map[string]int{}
	ring := streams.NewEffect("ring", "phone", time.Second, func(r ringUp) string { return fmt.Sprintf("%s/%d", r.Account, r.Step) },
		func(ctx context.Context, _ streams.Transports, key string, r ringUp) (ringAnswer, error) {
			return o.call(ctx, key, r)
		})
	d := streams.Define("desk", account(""), deskState.evolve,
		streams.OnCommand("open-case", func(s deskState, c openCase, in streams.Input) streams.Decision {
			if s.Open {
				return streams.Reject(streams.Conflict, "open", "the case is open")
			}
			return streams.Emit(caseOpened{c.Account}).After("expiry", c.Within, c.Account).
				Do(ring.With(ringUp{c.Account, 1}), ring.With(ringUp{c.Account, 2}))
		}, caseOpened{}).Asks(ring),
		streams.OnOutcome(ring, func(s deskState, a ringAnswer, in streams.Input) streams.Decision {
			return streams.Emit(caseAnswered{account(in.Key), a.Text})
		}, caseAnswered{}),
		streams.OnTimer("expiry", func(s deskState, a account, in streams.Input) streams.Decision {
			return streams.Emit(caseExpired{a})
		}, caseExpired{}),
		streams.On(func(s deskState, e closedOutside, _ streams.Input) streams.Decision {
			return streams.Nothing().Cancel("expiry")
		}))
	v, err := streams.NewVocabulary(streams.NewFact[caseOpened]("case.opened"), streams.NewFact[caseAnswered]("case.answered"),
		streams.NewFact[caseExpired]("case.expired"), streams.NewFact[closedOutside]("case.closed", streams.External()))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "desks", Deciders: []*streams.Decider{d}}})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func open(t *testing.T, c *streamtest.Cluster, key account, within time.Duration) {
	t.Helper()
	cmd, err := streams.NewCommand("open-"+string(key), "open-case", openCase{key, within})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Send(context.Background(), cmd); err != nil || r.Status != streams.ReplyDone {
		t.Fatalf("%+v %v", r, err)
	}
}

// deskLog reads what a case went through.
func deskLog(t *testing.T, c *streamtest.Cluster, key string) string {
	t.Helper()
	s := c.OpenStore("desks")
	defer s.Close()
	snaps, err := s.Load(context.Background(), streams.Partition(key, c.Partitions), []streams.StreamID{{Decider: "desk", Key: key}})
	if err != nil || len(snaps) != 1 {
		t.Fatalf("%d states of %s: %v", len(snaps), key, err)
	}
	return string(snaps[0].State)
}

func inDesk(t *testing.T, o *outsider, f func(t *testing.T, c *streamtest.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := streamtest.NewCluster(t, desk(t, o), 4)
		f(t, c)
		c.Close()
	})
}

func yes(int, string) (string, error) { return "yes", nil }

// Rule 23: effects of one key run one at a time in the order of their intents,
// and what is in doubt is asked again with the same key.
func TestEffectsInOrderUntilDefinite(t *testing.T) {
	o := &outsider{reply: func(n int, key string) (string, error) {
		if n <= 3 {
			return "", errors.New("no answer in time")
		}
		return fmt.Sprint("to ", key), nil
	}}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("desks")
		open(t, c, "acc-1", time.Hour)
		time.Sleep(20 * time.Second)
		if got := strings.Join(o.seen(), " "); got != "acc-1/1 acc-1/1 acc-1/1 acc-1/1 acc-1/2" {
			t.Errorf("calls: %s", got)
		}
		if o.overlap {
			t.Error("two calls of one key ran at once")
		}
		if got := deskLog(t, c, "acc-1"); got != `{"Open":true,"Log":["answer to acc-1/1","answer to acc-1/2"]}` {
			t.Errorf("got %s", got)
		}
	})
}

// An intent survives the death of its instance between call and outcome, and is
// asked again under the same key.
func TestEffectSurvivesDeath(t *testing.T) {
	var node *streamtest.Node
	killed := false
	o := &outsider{}
	o.reply = func(n int, key string) (string, error) {
		if n == 1 {
			killed = true
			go node.Kill() // the call is made, and its answer reaches nobody
			time.Sleep(time.Second)
		}
		return "yes", nil
	}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		node = c.Start("desks")
		open(t, c, "acc-1", time.Hour)
		time.Sleep(2 * time.Second)
		c.Start("desks")
		time.Sleep(30 * time.Second)
		if got := strings.Join(o.seen(), " "); got != "acc-1/1 acc-1/1 acc-1/2" || !killed {
			t.Errorf("calls: %s", got)
		}
		if got := deskLog(t, c, "acc-1"); got != `{"Open":true,"Log":["answer yes","answer yes"]}` {
			t.Errorf("got %s", got)
		}
	})
}

// An outcome that was decided is neither asked for nor decided again.
func TestOutcomeOnce(t *testing.T) {
	o := &outsider{reply: yes}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("desks")
		open(t, c, "acc-1", time.Hour)
		time.Sleep(5 * time.Second)
		n.Kill()
		c.Start("desks")
		time.Sleep(30 * time.Second)
		if got := strings.Join(o.seen(), " "); got != "acc-1/1 acc-1/2" {
			t.Errorf("calls: %s", got)
		}
		if got := deskLog(t, c, "acc-1"); got != `{"Open":true,"Log":["answer yes","answer yes"]}` {
			t.Errorf("got %s", got)
		}
	})
}

// An open breaker pauses the work behind it and parks nothing.
func TestBreakerPauses(t *testing.T) {
	down := true
	o := &outsider{}
	o.reply = func(int, string) (string, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if down {
			return "", errors.New("down")
		}
		return "yes", nil
	}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("desks")
		for n := range 20 {
			open(t, c, account(fmt.Sprint("acc-", n)), time.Hour)
		}
		time.Sleep(time.Minute)
		asked := len(o.seen())
		if asked > 120 { // 20 keys that ask every 5 s would be at 240 without a breaker
			t.Errorf("%d calls in a minute of an endpoint that is down", asked)
		}
		o.mu.Lock()
		down = false
		o.mu.Unlock()
		time.Sleep(30 * time.Second)
		for n := range 20 {
			if got := deskLog(t, c, fmt.Sprint("acc-", n)); !strings.Contains(got, `["answer yes","answer yes"]`) {
				t.Errorf("acc-%d: %s", n, got)
			}
		}
	})
}

// Timers are durable, fire once, and not before they are due.
func TestTimers(t *testing.T) {
	inDesk(t, &outsider{reply: yes}, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("desks")
		open(t, c, "acc-1", time.Minute)
		open(t, c, "acc-2", 2*time.Minute)
		time.Sleep(55 * time.Second)
		if got := deskLog(t, c, "acc-1"); strings.Contains(got, "expired") {
			t.Errorf("too early: %s", got)
		}
		time.Sleep(10 * time.Second)
		if got := deskLog(t, c, "acc-1"); !strings.Contains(got, "expired") {
			t.Errorf("not fired: %s", got)
		}
		n.Kill()
		time.Sleep(5 * time.Minute)
		c.Start("desks")
		time.Sleep(30 * time.Second)
		for _, k := range []string{"acc-1", "acc-2"} {
			if got := strings.Count(deskLog(t, c, k), "expired"); got != 1 {
				t.Errorf("%s expired %d times", k, got)
			}
		}
	})
}

// Rule 16: a timer that fell due while everything was down is decided only
// after the inputs that were there by then: here, the one that cancels it.
func TestDueTimerWaitsForUnreadInputs(t *testing.T) {
	inDesk(t, &outsider{reply: yes}, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("desks")
		open(t, c, "acc-1", time.Minute)
		time.Sleep(10 * time.Second)
		n.Kill()
		part := streams.Partition("acc-1", 4)
		e := streams.Envelope{ID: "close-1", Type: "case.closed", Source: "test", Time: time.Now(), Key: "acc-1", Data: []byte(`{"account":"acc-1"}`)}
		produce(t, c, e.Record("external.account", part))
		time.Sleep(10 * time.Minute)
		c.Start("desks")
		time.Sleep(time.Minute)
		if got := deskLog(t, c, "acc-1"); strings.Contains(got, "expired") {
			t.Errorf("an unread input would have cancelled it: %s", got)
		}
	})
}
