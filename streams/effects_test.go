package streams_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// phone answers HTTP calls in place of a network, by the account's name.
type phone struct {
	mu     sync.Mutex
	asked  map[string]int
	mended atomic.Bool
	busy   atomic.Int64
}

func (p *phone) RoundTrip(r *http.Request) (*http.Response, error) {
	key := r.Header.Get("Idempotency-Key")
	p.mu.Lock()
	p.asked[key]++
	p.mu.Unlock()
	p.busy.Add(1)
	defer p.busy.Add(-1)
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
	if !p.mended.Load() {
		switch kind, _, _ := strings.Cut(key, "-"); kind {
		case "garbage":
			return answer(200, "OK thanks")
		case "four":
			return answer(400, `{"text":"bad request"}`)
		case "big":
			return answer(201, `{"text":"`+strings.Repeat("T", 1<<20)+`"}`)
		case "broken":
			return answer(500, "")
		case "hang":
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
	}
	time.Sleep(20 * time.Millisecond)
	return answer(201, `{"text":"yes"}`)
}

func (p *phone) total(kind string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, m := range p.asked {
		if strings.HasPrefix(k, kind+"-") {
			n += m
		}
	}
	return n
}

func phoneTopology(t *testing.T, p *phone) *streams.Topology {
	t.Helper()
	unanswered := func(kind string, i ringUp) bool {
		return strings.HasPrefix(string(i.Account), kind) && !p.mended.Load()
	}
	ring := streams.HTTPCall("ring", "phone", 2*time.Second, func(r ringUp) string { return string(r.Account) },
		func(r ringUp) streams.HTTPRequest {
			if unanswered("unaskable", r) {
				return streams.HTTPRequest{Method: "NO METHOD", Path: "/"}
			}
			return streams.HTTPRequest{Method: "POST", Path: "/", Body: r}
		},
		func(r ringUp, res streams.HTTPResponse) (a ringAnswer, err error) {
			if unanswered("panic", r) {
				panic("at the disco")
			}
			if res.Status != 201 {
				return a, fmt.Errorf("status %d", res.Status)
			}
			_, err = fmt.Sscanf(string(res.Body), `{"text":%q}`, &a.Text)
			return a, err
		})
	d := streams.Define("desk", account(""), deskState.evolve,
		streams.OnCommand("open-case", func(_ deskState, c openCase, _ streams.Input) streams.Decision {
			return streams.Emit(caseOpened{c.Account}).Do(ring.With(ringUp{c.Account, 1}))
		}, caseOpened{}).Asks(ring),
		streams.OnOutcome(ring, func(_ deskState, a ringAnswer, in streams.Input) streams.Decision {
			return streams.Emit(caseAnswered{account(in.Key), a.Text})
		}, caseAnswered{}))
	v, err := streams.NewVocabulary(streams.NewFact[caseOpened]("case.opened"), streams.NewFact[caseAnswered]("case.answered"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "desks", Deciders: []*streams.Decider{d}}})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// breakerWatch notes when breakers opened.
type breakerWatch struct{ opened atomic.Int64 }

func (*breakerWatch) OnEffect(a streams.Attempt) (string, func(error) string) {
	return a.Origin.Traceparent, func(error) string { return a.Origin.Traceparent }
}
func (*breakerWatch) OnHeldBack(streams.Attempt) {}
func (w *breakerWatch) OnBreaker(_, _, state string) {
	if state == "open" {
		w.opened.Add(1)
	}
}

// Calls that an endpoint answers uselessly, or not at all, hold up none of those
// that it answers well, and are answered in time once somebody has mended it.
func TestPoisonousCallsHoldUpNobody(t *testing.T) {
	const good = 12
	for kind, most := range map[string]int{"garbage": 15, "four": 15, "big": 15, "panic": 15, "unaskable": 0, "hang": 120, "broken": 120} { // asked of each in ten minutes
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				poisonous := 150
				if kind == "big" { // as slow as it is long
					poisonous = 15
				}
				p, w := &phone{asked: map[string]int{}}, &breakerWatch{}
				c := streamtest.NewCluster(t, phoneTopology(t, p), 4)
				c.Hooks = []streams.Hook{w}
				c.Transports.HTTP = streams.HTTPTransport{Client: &http.Client{Transport: p}, Addresses: map[string]string{"phone": "http://phone"}}
				c.Start("desks")
				for n := range poisonous {
					open(t, c, account(fmt.Sprint(kind, "-", n)), 0)
				}
				time.Sleep(5 * time.Minute)
				for n := range good {
					open(t, c, account(fmt.Sprint("good-", n)), 0)
				}
				time.Sleep(30 * time.Second)
				for n := range good {
					if got := deskLog(t, c, fmt.Sprint("good-", n)); !strings.Contains(got, "answer yes") {
						t.Errorf("good-%d is held up: %s", n, got)
					}
				}
				if n := w.opened.Load(); n > 0 && kind != "hang" && kind != "broken" {
					t.Errorf("the breaker opened %d times on an endpoint that answers", n)
				}
				time.Sleep(5 * time.Minute)
				if n := p.total(kind) / poisonous; n > most {
					t.Errorf("each was asked %d times", n)
				}
				p.mended.Store(true)
				time.Sleep(3 * time.Minute)
				for n := range poisonous {
					if got := deskLog(t, c, fmt.Sprint(kind, "-", n)); !strings.Contains(got, "answer yes") {
						t.Fatalf("%s-%d, three minutes after all is well: %s", kind, n, got)
					}
				}
				c.Close()
			})
		})
	}
}

// A yes and a definite no are told apart by their status alone, whatever the body says;
// what proves nothing is neither, and fills nothing in.
func TestAnswersAreReadByTheirStatus(t *testing.T) {
	type label struct {
		Number string `json:"number"`
		Reason string `json:"reason"`
	}
	for _, c := range []struct {
		status, no int
		body       string
		yes        bool
		read       label
		bad        string
	}{
		{201, 422, `{"number":"T1"}`, true, label{Number: "T1"}, ""},
		{422, 422, `{"number":"T1","reason":"an island"}`, false, label{"T1", "an island"}, ""},
		{422, 0, `{"reason":"an island"}`, false, label{}, "status 422 (an island)"},
		{200, 422, `{"number":"T1"}`, false, label{}, "status 200"},
		{404, 422, `<h1>Not found</h1>`, false, label{}, "status 404"},
		{201, 422, `OK thanks`, false, label{}, "no JSON"},
		{422, 422, ``, false, label{}, "no JSON"},
		{500, 422, `{"reason":"` + strings.Repeat("x", 1000) + `"}`, false, label{}, strings.Repeat("x", 200) + ")"},
	} {
		var got label
		yes, err := streams.HTTPResponse{Status: c.status, Body: []byte(c.body)}.Read(201, c.no, &got)
		if yes != c.yes || got != c.read || (err == nil) != (c.bad == "") ||
			err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("%d %.40s: %v, %+v, %v", c.status, c.body, yes, got, err)
		}
	}
}

// After an outage calls come back twice as many at a time, neither all at once nor
// one by one, and nobody waits for long.
func TestCallsComeBackGrowing(t *testing.T) {
	var down atomic.Bool
	var calls, most atomic.Int64
	var mu sync.Mutex
	var back []int64 // calls at once, at each call's begin, since it is back
	o := &outsider{}
	o.reply = func(int, string) (string, error) {
		if down.Load() {
			return "", errors.New("down")
		}
		n := calls.Add(1)
		defer calls.Add(-1)
		mu.Lock()
		back = append(back, n)
		mu.Unlock()
		most.Store(max(most.Load(), n))
		time.Sleep(500 * time.Millisecond)
		return "yes", nil
	}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("desks")
		down.Store(true)
		for n := range 100 {
			open(t, c, account(fmt.Sprint("acc-", n)), time.Hour)
		}
		time.Sleep(5 * time.Minute)
		down.Store(false)
		time.Sleep(30 * time.Second)
		for n := range 100 {
			if got := deskLog(t, c, fmt.Sprint("acc-", n)); strings.Count(got, "answer yes") != 2 {
				t.Errorf("acc-%d: %s", n, got)
			}
		}
		for i, n := range back[:8] {
			if int(n) > i+1 { // each answer lets one more in
				t.Errorf("calls at once, one after the other: %v", back[:8])
				break
			}
		}
		if back[0] != 1 || most.Load() < 10 {
			t.Errorf("%d calls at once at first, %d at most", back[0], most.Load())
		}
	})
}

// Calls that wait in the store when a service starts are all taken up, also where
// they fill the page that is read at once, to the last row.
func TestAllPendingCallsAreTakenUp(t *testing.T) {
	var there atomic.Bool
	o := &outsider{reply: func(n int, key string) (string, error) {
		if there.Load() {
			return yes(n, key)
		}
		return "", errors.New("nobody there")
	}}
	for _, page := range []int{2, 3, 4, 6, 7} {
		there.Store(false)
		inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
			n := c.Start("desks")
			keys := neighbours(1, 3)
			for _, k := range keys { // two calls each
				open(t, c, k, 24*time.Hour)
			}
			time.Sleep(10 * time.Second)
			if err := n.Stop(); err != nil {
				t.Fatal(err)
			}
			there.Store(true)
			c.Start("desks", func(cfg *streams.Config) { cfg.MaxBatch = page })
			time.Sleep(5 * time.Minute)
			for _, k := range keys {
				if got := deskLog(t, c, string(k)); !strings.Contains(got, `["answer yes","answer yes"]`) {
					t.Errorf("%d rows at once: %s: %s", page, k, got)
				}
			}
		})
	}
}

// The bound of the calls that a lane has in memory holds also when it takes up more.
func TestCallsInMemoryAreBounded(t *testing.T) {
	var now, most atomic.Int64
	var there atomic.Bool
	o := &outsider{reply: func(n int, key string) (string, error) {
		if !there.Load() {
			return "", errors.New("nobody there")
		}
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		time.Sleep(time.Second)
		return yes(n, key)
	}}
	inDesk(t, o, func(t *testing.T, c *streamtest.Cluster) {
		n := c.Start("desks")
		keys := neighbours(1, 9)
		for _, k := range keys {
			open(t, c, k, 24*time.Hour)
		}
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		there.Store(true)
		c.Start("desks", func(cfg *streams.Config) { cfg.MaxEffects = 3 })
		time.Sleep(5 * time.Minute)
		for _, k := range keys {
			if got := deskLog(t, c, string(k)); !strings.Contains(got, `["answer yes","answer yes"]`) {
				t.Errorf("%s: %s", k, got)
			}
		}
		if n := most.Load(); n > 3 || n < 2 {
			t.Errorf("%d calls at once, the bound is 3", n)
		}
	})
}
