package books_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/services/shipping/carrier"
	"github.com/weirstream/weir/streams"
)

// crashes ends lanes at random points of their loop, as a death there would:
// what they had in memory is gone, and their store says where to go on.
type crashes struct {
	mu     sync.Mutex
	random *rand.Rand
	rate   float64
	dead   map[streams.Point]int
}

var errCrash = errors.New("this lane died")

func (c *crashes) OnPoint(p streams.Point, _ streams.Lane) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.random.Float64() >= c.rate {
		return nil
	}
	c.dead[p]++
	return errCrash
}

func (c *crashes) stop() (deaths int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rate = 0
	for _, n := range c.dead {
		deaths += n
	}
	return deaths
}

// badDay is customers, crashes and a bad world, audited at its end. Between two
// customers, trouble may do more.
func badDay(t *testing.T, seed uint64, trouble func(*house, *rand.Rand)) (r *audit.Report, deaths int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	c := &crashes{random: rand.New(rand.NewPCG(seed, 2)), rate: 0.03, dead: map[streams.Point]int{}}
	log := &bytes.Buffer{}
	defer func() {
		if t.Failed() || !r.OK() {
			t.Logf("%s", log)
		}
	}()
	s := open(t, sim.Faults{Seed: seed, Errors: 0.1, Lost: 0.1, Refuse: map[string]float64{provider.Declined: .15, provider.CaptureFailed: .15, carrier.Refused: .15}, LatencyMS: 5, JitterMS: 30}, slog.New(slog.NewTextHandler(log, nil)), c)
	for n := range 4 {
		s.deliver(fmt.Sprint("d-", n), fmt.Sprint("sku-", n), 30)
	}
	time.Sleep(3 * time.Second)
	for n := range 30 {
		trouble(s, random)
		id := fmt.Sprint("o-", n)
		lines := []event.Line{line(fmt.Sprint("sku-", n%4), 1+int64(n%3)), line(fmt.Sprint("sku-", (n+1+n/4)%4), 2)}
		s.place(id, "tok-"+id, lines...)
		if n%5 == 0 {
			s.place(id, "tok-"+id, lines...) // asked again
		}
		if n%3 == 0 {
			time.Sleep(time.Duration(n) * 7 * time.Millisecond)
			s.cancel(id)
		}
	}
	time.Sleep(10 * time.Second)
	deaths = c.stop()
	time.Sleep(80 * time.Second)
	s.end()
	in := s.input()
	in.MailRepeats = 0.8 // a death between a mail and its outcome sends it again
	r, err := audit.Check(t.Context(), in)
	check(t, err)
	s.shut()
	return r, deaths
}

func calm(*house, *rand.Rand) {}

// restless lets instances of a random service join, die, freeze and come back
// as zombies.
func restless(s *house, random *rand.Rand) {
	services := s.c.Topology.Services
	name := services[random.IntN(len(services))].Name
	what := random.IntN(4)
	s.c.Log.Info("trouble", "service", name, "what", []string{"one more", "one dies, one more", "one freezes, one more", "none"}[what])
	switch what {
	case 0:
		s.start(name)
	case 1:
		// kfake never expires a member that dies while it waits for the answer to
		// its JoinGroup, and leaves its lanes to it for ever; Kafka does.
		time.Sleep(30 * time.Second)
		s.nodes[name][0].Kill()
		s.nodes[name] = s.nodes[name][1:]
		s.start(name)
	case 2:
		n := s.nodes[name][0]
		n.Freeze()
		s.start(name)
		time.Sleep(time.Duration(random.IntN(25)) * time.Second)
		n.Thaw()
	}
}

var days = flag.Int("days", 3, "how many bad days to live through, each with a seed of its own")

func TestABadDayBalancesToo(t *testing.T) {
	if testing.Short() {
		*days = 1
	}
	for name, trouble := range map[string]func(*house, *rand.Rand){"calm": calm, "restless": restless} {
		for seed := range uint64(*days) {
			synctest.Test(t, func(t *testing.T) {
				r, deaths := badDay(t, seed, trouble)
				if !r.OK() || deaths < 10 {
					t.Errorf("%s day %d: after %d deaths the books do not balance:\n%s", name, seed, deaths, r)
				}
			})
		}
	}
}
