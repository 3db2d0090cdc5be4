package streamtest

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/streams"
)

var (
	errKilled  = errors.New("this instance was killed")
	errCutOff  = errors.New("no route to the broker")
	errAway    = errors.New("the broker is away")
	errLost    = errors.New("the connection broke before the answer")
	errBusy    = errors.New("the store is busy")
	errDoubted = errors.New("the store did not answer: the commit may be done or not")
)

// gate stands between an instance and the world: the network, the store and
// the points of its loop all pass through it.
type gate struct {
	mu     sync.Mutex
	open   chan struct{} // closed while the gate is open
	dead   bool
	died   chan struct{}       // closed with dead
	conns  map[net.Conn]string // their ports
	trap   *trap
	cutOff bool          // no connection to the broker is made or kept
	deaf   bool          // the broker acts, and its answers are lost
	busy   bool          // writes to the store fail, undone
	doubts int           // so many commits are done and not acknowledged
	slow   time.Duration // each commit takes so much longer
	late   atomic.Int64  // nanoseconds that the broker's answers take longer
	jump   atomic.Int64  // nanoseconds that the machine's clock is ahead
}

// trap ends the instance at the count-th time that its loop comes to a point.
type trap struct {
	point streams.Point
	count int
	back  time.Duration // after which it comes back; 0: never
}

func newGate() *gate {
	g := &gate{open: make(chan struct{}), died: make(chan struct{}), conns: map[net.Conn]string{}}
	close(g.open)
	return g
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if !g.dead {
			g.open = make(chan struct{})
		}
	default:
	}
}

func (g *gate) thaw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) kill() {
	g.mu.Lock()
	if !g.dead {
		g.dead = true
		close(g.died)
	}
	g.mu.Unlock()
	g.thaw()
	g.hangUp("")
}

// hangUp breaks the connections to a port, or all: the peers see them
// break, which is the point.
func (g *gate) hangUp(port string) {
	g.mu.Lock()
	var broken []net.Conn
	for c, to := range g.conns {
		if port == "" || to == port {
			broken = append(broken, c)
			delete(g.conns, c)
		}
	}
	g.mu.Unlock()
	for _, c := range broken {
		_ = c.Close() // it is broken on purpose
	}
}

// set changes what is wrong at the gate.
func (g *gate) set(f func(g *gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g)
}

// pass waits while the gate is frozen, and fails once the instance is dead.
func (g *gate) pass() error {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead {
		return errKilled
	}
	return nil
}

// OnPoint makes the gate a hook at the points of the loop.
func (g *gate) OnPoint(p streams.Point, _ streams.Lane) error {
	g.mu.Lock()
	sprung := false
	if g.trap != nil && g.trap.point == p {
		g.trap.count--
		sprung = g.trap.count <= 0
	}
	g.mu.Unlock()
	if sprung {
		g.kill()
	}
	return g.pass()
}

type dialFunc = func(context.Context, string, string) (net.Conn, error)

func (g *gate) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		err := g.pass()
		if err == nil && g.isCutOff() {
			err = errCutOff
		}
		if err != nil {
			pause(ctx)
			return nil, err
		}
		c, err := dial(ctx, network, addr)
		if err != nil {
			pause(ctx)
			return nil, err
		}
		g.mu.Lock()
		g.conns[c] = portOf(addr)
		g.mu.Unlock()
		return &gatedConn{c, g}, nil
	}
}

// pause takes the time that a failed dial takes. franz-go asks for a producer's
// id again at once after an error that it does not know: virtual time would
// stand still.
func pause(ctx context.Context) { sleepFor(ctx, 100*time.Millisecond) }

func (g *gate) isCutOff() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cutOff
}

type gatedConn struct {
	net.Conn
	g *gate
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if late := c.g.late.Load(); late > 0 {
		time.Sleep(time.Duration(late))
	}
	if e := c.g.pass(); e != nil {
		return 0, e
	}
	c.g.mu.Lock()
	deaf := c.g.deaf
	c.g.mu.Unlock()
	if deaf && n > 0 {
		_ = c.Close() // what was read is lost with it
		return 0, errLost
	}
	return n, err
}

// wire is how long a request is on its way. With none at all a client that asks
// again at once, as franz-go fetches from a broker that does not lead any more,
// would hold virtual time up.
const wire = 500 * time.Microsecond

func (c *gatedConn) Write(b []byte) (int, error) {
	time.Sleep(wire)
	if err := c.g.pass(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *gatedConn) Close() error {
	c.g.mu.Lock()
	delete(c.g.conns, c.Conn)
	c.g.mu.Unlock()
	return c.Conn.Close()
}
