package streamtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

// Cluster is a broker and any number of instances of a topology's services in
// this process: the shipped runtime on the real broker protocol, the real
// client and the real store. Inside testing/synctest all of it lives in
// virtual time; nothing of it needs that.
type Cluster struct {
	Topology   *streams.Topology
	Partitions int32
	Broker     *kfake.Cluster
	Commands   *streams.Commands
	Transports streams.Transports
	Hooks      []streams.Hook
	Log        *slog.Logger // default: discards
	Dir        string       // of the stores

	t     testing.TB
	net   kfake.VirtualNetwork
	nodes []*Node
}

// NewCluster starts a broker. The test's end stops all that was started.
func NewCluster(t testing.TB, topology *streams.Topology, partitions int32) *Cluster {
	t.Helper()
	c := &Cluster{Topology: topology, Partitions: partitions, Commands: streams.NewCommands(), Log: slog.New(slog.DiscardHandler), Dir: t.TempDir(), t: t}
	var err error
	if c.Broker, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(c.net.Listen)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Close stops every instance, then the broker. It may be called twice.
func (c *Cluster) Close() {
	for _, n := range c.nodes {
		n.Stop()
	}
	c.Broker.Close()
}

// Client returns options for a client of the cluster's broker.
func (c *Cluster) Client() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(c.Broker.ListenAddrs()...), kgo.Dialer(c.net.DialContext)}
}

// Listen opens a port of the cluster's own network, for servers that effects
// call: "127.0.0.1:9101". The broker has taken a port of its own.
func (c *Cluster) Listen(address string) (net.Listener, error) { return c.net.Listen("tcp", address) }

// Dial reaches what listens on the cluster's own network.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.net.DialContext(ctx, network, address)
}

// OpenStore opens a service's store once more, for a look into it.
func (c *Cluster) OpenStore(service string) streams.Store {
	c.t.Helper()
	s, err := sqlite.Open(filepath.Join(c.Dir, service+".db"), sqlite.WithoutSync())
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// Send sends a command, until it is answered or ctx ends: while lanes move
// between instances nobody owns the command's lane.
func (c *Cluster) Send(ctx context.Context, cmd streams.Command) (streams.CommandReply, error) {
	service, _, ok := c.Topology.CommandTarget(cmd.Name)
	if !ok {
		return streams.CommandReply{}, fmt.Errorf("nobody takes command %q", cmd.Name)
	}
	for {
		r, err := c.Commands.Send(ctx, service, c.Partitions, cmd)
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Lanes tells how the lanes of all instances are.
func (c *Cluster) Lanes() (out []streams.LaneStatus) {
	for _, n := range c.nodes {
		out = append(out, n.Lanes()...)
	}
	return out
}

// Node is one instance of a service, which can stop, die and freeze.
type Node struct {
	*streams.Instance
	Service string

	gate *gate
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// Start runs one more instance of a service. Changes to its configuration may
// be given.
func (c *Cluster) Start(service string, change ...func(*streams.Config)) *Node {
	c.t.Helper()
	own := c.OpenStore(service)
	return c.start(service, own, own.Close, change)
}

// StartOn is Start on a store of the caller's, who closes it.
func (c *Cluster) StartOn(service string, store streams.Store, change ...func(*streams.Config)) *Node {
	c.t.Helper()
	return c.start(service, store, func() error { return nil }, change)
}

func (c *Cluster) start(service string, store streams.Store, closeStore func() error, change []func(*streams.Config)) *Node {
	c.t.Helper()
	n := &Node{Service: service, gate: newGate(), done: make(chan struct{})}
	cfg := streams.Config{Topology: c.Topology, Partitions: c.Partitions, Commands: c.Commands, Transports: c.Transports, Log: c.Log,
		Hooks:  append(append([]streams.Hook{}, c.Hooks...), n.gate),
		Client: []kgo.Opt{kgo.SeedBrokers(c.Broker.ListenAddrs()...), kgo.Dialer(n.gate.dialer(c.net.DialContext))}}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if n.Instance, err = streams.NewInstance(cfg, service, &gatedStore{store, n.gate}); err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.done)
		n.err = errors.Join(n.Run(ctx), closeStore())
	}()
	c.nodes = append(c.nodes, n)
	return n
}

// Done is closed when the instance has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop drains the instance and waits for its end.
func (n *Node) Stop() error {
	n.gate.thaw()
	n.stop()
	<-n.done
	return n.err
}

// Kill ends the instance as SIGKILL would: its connections break, and nothing
// more reaches its store.
func (n *Node) Kill() {
	n.gate.kill()
	n.stop()
	<-n.done
}

// Freeze holds the instance up wherever it next touches the network, its store
// or a point of its loop, as SIGSTOP would; Thaw lets it go on, by then perhaps
// a zombie.
func (n *Node) Freeze() { n.gate.freeze() }

// Thaw ends a freeze.
func (n *Node) Thaw() { n.gate.thaw() }

var errKilled = errors.New("this instance was killed")

// gate stands between an instance and the world.
type gate struct {
	mu    sync.Mutex
	open  chan struct{} // closed while the gate is open
	dead  bool
	conns map[net.Conn]bool
}

func newGate() *gate {
	g := &gate{open: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(g.open)
	return g
}

func (g *gate) freeze() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
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
	g.dead = true
	conns := g.conns
	g.conns = map[net.Conn]bool{}
	g.mu.Unlock()
	g.thaw()
	for c := range conns {
		_ = c.Close() // the peer sees the connection break, which is the point
	}
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
func (g *gate) OnPoint(streams.Point, streams.Lane) error { return g.pass() }

type dialFunc = func(context.Context, string, string) (net.Conn, error)

func (g *gate) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := g.pass(); err != nil {
			// franz-go asks for a producer's id again at once after an error that
			// it does not know: virtual time would stand still.
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			return nil, err
		}
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		g.conns[c] = true
		g.mu.Unlock()
		return &gatedConn{c, g}, nil
	}
}

type gatedConn struct {
	net.Conn
	g *gate
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if e := c.g.pass(); e != nil {
		return 0, e
	}
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
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

// gatedStore lets an instance's commits through the gate.
type gatedStore struct {
	streams.Store
	g *gate
}

func (s *gatedStore) Claim(ctx context.Context, lane int32) (*streams.Cursor, error) {
	if err := s.g.pass(); err != nil {
		return nil, err
	}
	return s.Store.Claim(ctx, lane)
}

func (s *gatedStore) Cursor(ctx context.Context, lane int32) (*streams.Cursor, error) {
	if err := s.g.pass(); err != nil {
		return nil, err
	}
	return s.Store.Cursor(ctx, lane)
}

func (s *gatedStore) Commit(ctx context.Context, lane int32, tx *streams.Tx) error {
	if err := s.g.pass(); err != nil {
		return err
	}
	return s.Store.Commit(ctx, lane, tx)
}
