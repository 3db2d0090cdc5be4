package streamtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
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
	Broker     *kfake.Cluster // nil on a real one
	Commands   streams.Commands
	Transports streams.Transports
	Hooks      []streams.Hook
	Log        *slog.Logger // default: discards
	Dir        string       // of the stores

	t       testing.TB
	net     kfake.VirtualNetwork
	brokers []string
	dial    dialFunc // reaches the brokers
	mu      sync.Mutex
	nodes   []*Node         // that were not killed or stopped
	away    map[string]bool // brokers that instances cannot reach, by port
}

// NewCluster starts a broker, or several if an option says so. The test's end
// stops all that was started.
func NewCluster(t testing.TB, topology *streams.Topology, partitions int32, broker ...kfake.Opt) *Cluster {
	t.Helper()
	c := newCluster(t, topology, partitions)
	c.dial = c.net.DialContext
	var err error
	if c.Broker, err = kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.ListenFn(c.net.Listen)}, broker...)...); err != nil {
		t.Fatal(err)
	}
	c.brokers = c.Broker.ListenAddrs()
	t.Cleanup(c.Close)
	return c
}

func newCluster(t testing.TB, topology *streams.Topology, partitions int32) *Cluster {
	return &Cluster{Topology: topology, Partitions: partitions, Commands: streams.NewCommands(), Log: slog.New(slog.DiscardHandler), Dir: t.TempDir(), t: t, away: map[string]bool{}}
}

// Close stops every instance, then the broker. It may be called twice.
func (c *Cluster) Close() {
	for _, n := range c.running() {
		n.Stop()
	}
	if c.Broker != nil {
		c.Broker.Close()
	}
}

func (c *Cluster) running() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// Client returns options for a client of the cluster's broker.
func (c *Cluster) Client() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(c.brokers...), kgo.Dialer(c.dial)}
}

// Listen opens a port of the cluster's own network, for servers that effects
// call: "127.0.0.1:9101". The broker has taken a port of its own.
func (c *Cluster) Listen(address string) (net.Listener, error) { return c.net.Listen("tcp", address) }

// Dial reaches what listens on the cluster's own network.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return c.net.DialContext(ctx, network, address)
}

func (c *Cluster) storePath(service string) string { return filepath.Join(c.Dir, service+".db") }

// OpenStore opens a service's store once more, for a look into it.
func (c *Cluster) OpenStore(service string) streams.Store {
	c.t.Helper()
	s, err := sqlite.Open(c.storePath(service), sqlite.WithoutSync())
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
		r, err := c.Commands.Send(ctx, service, streams.Partition(cmd.Key, c.Partitions), cmd)
		if err == nil || ctx.Err() != nil {
			return r, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Lanes tells how the lanes of all instances are.
func (c *Cluster) Lanes() (out []streams.LaneStatus) {
	for _, n := range c.running() {
		out = append(out, n.Lanes()...)
	}
	return out
}

// Node is one instance of a service, which can stop, die and freeze.
type Node struct {
	*streams.Instance
	Service string

	c     *Cluster
	gate  *gate
	store *gatedStore
	stop  context.CancelFunc
	done  chan struct{}
	err   error
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
	n := &Node{Service: service, c: c, gate: newGate(), done: make(chan struct{})}
	n.store = newGatedStore(store, n.gate)
	cfg := streams.Config{Topology: c.Topology, Partitions: c.Partitions, Commands: c.Commands, Transports: c.Transports, Log: c.Log,
		Hooks:  append(append([]streams.Hook{}, c.Hooks...), n.gate),
		Client: []kgo.Opt{kgo.SeedBrokers(c.brokers...), kgo.Dialer(n.gate.dialer(c.dialBroker))}}
	for _, f := range change {
		f(&cfg)
	}
	machine := cfg.Now
	if machine == nil {
		machine = time.Now
	}
	cfg.Now = func() time.Time { return machine().Add(time.Duration(n.gate.jump.Load())) }
	var err error
	if n.Instance, err = streams.NewInstance(cfg, service, n.store); err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.done)
		n.err = errors.Join(n.Run(ctx), closeStore())
	}()
	c.mu.Lock()
	c.nodes = append(c.nodes, n)
	c.mu.Unlock()
	return n
}

// gone takes the instance off the cluster's list.
func (n *Node) gone() {
	n.c.mu.Lock()
	n.c.nodes = slices.DeleteFunc(n.c.nodes, func(o *Node) bool { return o == n })
	n.c.mu.Unlock()
}

// Done is closed when the instance has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// Stop drains the instance and waits for its end.
func (n *Node) Stop() error {
	n.gone()
	n.gate.thaw()
	n.stop()
	<-n.done
	return n.err
}

// Kill ends the instance as SIGKILL would: its connections break, and nothing
// more reaches its store.
func (n *Node) Kill() {
	n.gone()
	n.gate.kill()
	n.stop()
	<-n.done
}

// Freeze holds the instance up wherever it next touches the network, its store
// or a point of its loop, as SIGSTOP would; Thaw lets it go on, by then perhaps
// a zombie.
func (n *Node) Freeze() { n.gate.freeze() }

// Late lets the broker's answers reach the instance so much later, until it is
// called with 0.
func (n *Node) Late(by time.Duration) { n.gate.late.Store(int64(by)) }

// Become points the instance to another store from its next call on, as the
// promotion of a replica behind an address does.
func (n *Node) Become(s streams.Store) { n.store.now.Store(&s) }

// Thaw ends a freeze.
func (n *Node) Thaw() { n.gate.thaw() }
