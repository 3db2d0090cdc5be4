package books_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

const partitions = 2

// lanesMayHalt, where a bug is planted.
var lanesMayHalt bool

// house is the real business in virtual time: all services, the outside world
// on a wire of its own, and a client.
type house struct {
	t       testing.TB
	c       *streamtest.Cluster
	world   *sim.World
	nodes   map[string][]*streamtest.Node
	placed  []streams.Key
	started int // instances
	close   []func()
	stores  map[string]streams.Store // opened for audits
}

func open(t testing.TB, f sim.Faults, log *slog.Logger, hooks ...streams.Hook) *house {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	s := &house{t: t, c: streamtest.NewCluster(t, top, partitions), nodes: map[string][]*streamtest.Node{}}
	s.c.Hooks, s.c.Log = hooks, log
	s.world, err = sim.OpenWorld(&wire{}, shop.Business.Endpoints(), f)
	check(t, err)
	s.c.Transports = s.world.Transports
	s.close = append(s.close, func() { check(t, s.world.Close()) })
	for _, svc := range top.Services {
		s.start(svc.Name)
	}
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wire is a network of the outside's own.
type wire struct{ kfake.VirtualNetwork }

func (w *wire) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return w.DialContext(ctx, network, address)
}

func (w *wire) Listen(address string) (net.Listener, error) {
	return w.VirtualNetwork.Listen("tcp", address)
}

// start runs one more instance of a service, whose log names it.
func (s *house) start(service string) {
	log := s.c.Log.With("node", s.started)
	s.started++
	s.nodes[service] = append(s.nodes[service], s.c.Start(service, func(cfg *streams.Config) {
		cfg.Log = log
		cfg.Hooks = append(cfg.Hooks, diary{log})
	}))
}

// diary writes down what becomes of lanes.
type diary struct{ *slog.Logger }

func (d diary) OnLane(e streams.LaneEvent) {
	if e.What != streams.LaneMeasured {
		d.Info("lane is "+string(e.What), "service", e.Service, "lane", e.Lane, "error", e.Err)
	}
}

// end stops what runs; the broker stays for the audit.
func (s *house) end() {
	for _, nodes := range s.nodes {
		for _, n := range nodes {
			if err := n.Stop(); err != nil {
				s.t.Error(err)
			}
		}
	}
	for i := len(s.close) - 1; i >= 0; i-- {
		s.close[i]()
	}
	s.close, s.nodes = nil, nil
}

func (s *house) send(id, name string, c streams.Event) {
	s.t.Helper()
	cmd, err := streams.NewCommand(id, name, c)
	check(s.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r, err := s.c.Send(ctx, cmd); err != nil && !lanesMayHalt {
		s.t.Errorf("%s: %v", id, err)
	} else if r.Status == streams.ReplyDone && name == "place-order" {
		s.placed = append(s.placed, c.Key())
	}
}

func (s *house) place(id, card string, lines ...event.Line) {
	s.t.Helper()
	s.send("place-"+id, "place-order", order.PlaceOrder{Order: event.OrderID(id), Customer: "c", Email: id + "@example.org", Card: card, Lines: lines,
		ShipTo: event.Address{Name: "N", Street: "S", City: "C", Postcode: "P", Country: "GB"}})
}

func (s *house) cancel(id string) {
	s.t.Helper()
	s.send("cancel-"+id, "cancel-order", order.CancelOrder{Order: event.OrderID(id), Reason: "changed my mind"})
}

func line(sku string, n int64) event.Line {
	return event.Line{SKU: event.SKU(sku), Quantity: n, Unit: event.Money{Minor: 250, Currency: "GBP"}}
}

// deliver posts a delivery as ingestion would.
func (s *house) deliver(id, sku string, n int64) {
	s.t.Helper()
	cl, err := kgo.NewClient(append(s.c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...)
	check(s.t, err)
	defer cl.Close()
	data, err := json.Marshal(event.StockReceived{SKU: event.SKU(sku), Quantity: n})
	check(s.t, err)
	e := streams.Envelope{ID: id, Type: "stock.received", Source: "/door", Time: time.Now(), Key: sku, Data: data}
	check(s.t, cl.ProduceSync(context.Background(), e.Record("external.sku", streams.Partition(sku, partitions))).FirstErr())
}

// input is what an audit of the shop compares, as if nothing moved any more.
func (s *house) input() audit.Input {
	s.t.Helper()
	if s.stores == nil {
		s.stores = map[string]streams.Store{}
		for _, svc := range s.c.Topology.Services {
			s.stores[svc.Name] = s.c.OpenStore(svc.Name)
		}
	}
	in := audit.Input{Input: verify.Input{Topology: s.c.Topology, Partitions: partitions, Stores: maps.Clone(s.stores), Client: s.c.Client(), Complete: true, Settled: true, Decide: true},
		Business: shop.Business, Acknowledged: s.placed}
	var err error
	in.Ledgers, err = s.world.Ledgers()
	check(s.t, err)
	return in
}

// shut ends everything.
func (s *house) shut() {
	s.t.Helper()
	s.end()
	for _, st := range s.stores {
		check(s.t, st.Close())
	}
	s.c.Close()
}

// day is a short one: a fulfilled order of two SKUs, one that is short of
// stock, one that is declined, one that its customer cancels at once, one made
// to order. It ends when all are over.
func (s *house) day() {
	s.t.Helper()
	s.deliver("d1", "tin", 9)
	s.deliver("d1", "tin", 9) // the same, told twice
	s.deliver("d2", "jar", 8)
	time.Sleep(5 * time.Second)
	s.place("good", "tok-1", line("tin", 2), line("jar", 1), line("tin", 1))
	s.place("short", "tok-2", line("jar", 1), line("tin", 7))
	s.place("declined", "tok-declined", line("tin", 1))
	s.place("cancelled", "tok-3", line("tin", 2), line("jar", 2))
	s.cancel("cancelled")
	s.place("made", "tok-4", line("rug", 1))
	s.place("made", "tok-4", line("rug", 1)) // the same, asked twice
	time.Sleep(time.Minute)
	s.end()
}

func describe(want string, r *audit.Report) string { return fmt.Sprintf("want %s in\n%s", want, r) }
