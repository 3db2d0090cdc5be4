package streamtest

import (
	"container/heap"
	"context"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// due is something to do at a time: to begin a fault, or to end one.
type due struct {
	at time.Time
	do func()
}

type agenda []due

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(due)) }
func (a *agenda) Pop() any {
	old := *a
	x := old[len(old)-1]
	*a = old[:len(old)-1]
	return x
}

// trouble makes everything of the schedule go wrong, and ends it again.
func (w *World) trouble() {
	began, todo := time.Now(), &agenda{}
	for _, f := range w.schedule.Faults {
		heap.Push(todo, due{began.Add(f.At), func() {
			w.Note("FAULT %s", f)
			if undo := w.begin(f); undo != nil {
				heap.Push(todo, due{time.Now().Add(f.For), func() {
					w.Note("over: %s", f)
					undo()
				}})
			}
		}})
	}
	for todo.Len() > 0 {
		next := heap.Pop(todo).(due)
		time.Sleep(time.Until(next.at))
		next.do()
	}
}

// begin makes one fault happen, and returns what ends it, if anything does. It
// does not wait: what takes time has a goroutine of the world's.
func (w *World) begin(f Fault) (undo func()) {
	switch f.Kind {
	case Join:
		w.join(f.Service)
	case BrokerError:
		a := brokerAnswers[f.Name]
		h := w.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{a.key}, Err: a.err, Count: f.Count}, kfake.Fault{Keys: []kmsg.Key{a.key}, Err: a.err, Count: f.Count, TopLevel: true})
		w.answers = append(w.answers, h)
	case BrokerAway:
		return w.brokerAway(f.Node)
	case MoveLeaders:
		w.Broker.ShufflePartitionLeaders()
	case MoveCoordinators:
		w.Broker.RehashCoordinators()
	case Repeat, Misplace, Poison:
		w.under.Go(func() { w.strangeRecords(f) })
	case StoreRestored:
		w.under.Go(func() { w.restoreOld(f.Service) })
	case StoreFailsOver:
		w.under.Go(func() { w.failOver(f.Service) })
	case Outside:
		for _, o := range w.sim.Outside {
			if o.Name == f.Name {
				o.Switch(w, true)
				return func() { o.Switch(w, false) }
			}
		}
	default:
		if n := w.pick(f.Service, f.Node); n != nil {
			return w.hurt(n, f)
		}
		w.Note("nobody is there for it")
	}
	return nil
}

// hurt makes something go wrong with one instance.
func (w *World) hurt(n *Node, f Fault) (undo func()) {
	g := n.gate
	switch f.Kind {
	case Die:
		g.set(func(g *gate) { g.trap = &trap{f.Point, f.Count, f.For} })
		if f.Point == "" {
			g.kill()
		}
	case Leave:
		w.lost(n)
		w.wg.Go(func() { w.leave(n) })
	case Freeze:
		n.Freeze()
		return n.Thaw
	case CutOff:
		g.set(func(g *gate) { g.cutOff = true })
		g.hangUp("")
		return func() { g.set(func(g *gate) { g.cutOff = false }) }
	case Deaf:
		g.set(func(g *gate) { g.deaf = true })
		return func() { g.set(func(g *gate) { g.deaf = false }) }
	case Late:
		n.Late(f.For / 4)
		return func() { n.Late(0) }
	case ClockJumps:
		g.jump.Store(int64(24 * time.Hour))
		return func() { g.jump.Store(0) }
	case StoreBusy:
		g.set(func(g *gate) { g.busy = true })
		return func() { g.set(func(g *gate) { g.busy = false }) }
	case StoreDoubt:
		g.set(func(g *gate) { g.doubts = f.Count })
	case StoreSlow:
		g.set(func(g *gate) { g.slow = 300 * time.Millisecond })
		return func() { g.set(func(g *gate) { g.slow = 0 }) }
	}
	return nil
}

func (w *World) join(service string) {
	w.mu.Lock()
	room := len(w.alive[service]) < w.sim.Instances && !w.reserved[service]
	w.mu.Unlock()
	if room {
		w.startOne(service)
	}
}

// brokerAway lets no instance reach one broker.
func (w *World) brokerAway(n int) (undo func()) {
	_, port, err := net.SplitHostPort(w.Broker.ListenAddrs()[n])
	if err != nil {
		w.Violate("address of broker %d: %v", n, err)
	}
	w.setAway(port, true)
	for _, node := range w.running() {
		node.gate.hangUp(port)
	}
	return func() { w.setAway(port, false) }
}

func (c *Cluster) setAway(port string, away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away[port] = away
}

// dialBroker is how instances reach the brokers that are not away.
func (c *Cluster) dialBroker(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	away := c.away[portOf(addr)]
	c.mu.Unlock()
	if away {
		return nil, errAway
	}
	return c.dial(ctx, network, addr)
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// heal ends everything that is still wrong, and sees to it that each service
// has an instance.
func (w *World) heal() {
	w.under.Wait()
	for _, h := range w.answers {
		h.Remove()
	}
	w.mu.Lock()
	w.healed = true
	w.mu.Unlock()
	for _, svc := range w.Topology.Services {
		nodes := w.living(svc.Name)
		for _, n := range nodes {
			n.gate.set(func(g *gate) { g.trap, g.doubts = nil, 0 })
		}
		if len(nodes) == 0 {
			w.startOne(svc.Name)
		}
	}
}
