package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

const partitions = 2

// lanesMayHalt, where a bug is planted.
var lanesMayHalt bool

// shop is the real business in virtual time: all services, the outside world
// on a wire of its own, and a client.
type shop struct {
	t        testing.TB
	c        *streamtest.Cluster
	net      kfake.VirtualNetwork
	provider *sim.Provider
	carrier  *sim.Carrier
	mailbox  *sim.Mailbox
	nodes    map[string][]*streamtest.Node
	placed   []event.OrderID
	started  int // instances
	close    []func()
	stores   map[string]streams.Store // opened for audits
}

func open(t testing.TB, f sim.Faults, log *slog.Logger, hooks ...streams.Hook) *shop {
	t.Helper()
	top, err := sagas.Topology()
	check(t, err)
	s := &shop{t: t, c: streamtest.NewCluster(t, top, partitions), nodes: map[string][]*streamtest.Node{}}
	s.c.Hooks, s.c.Log = hooks, log
	s.provider, err = sim.NewProvider(sim.Config{Faults: f})
	check(t, err)
	s.carrier, err = sim.NewCarrier(sim.Config{Faults: f})
	check(t, err)
	s.mailbox, err = sim.NewMailbox(sim.Config{Faults: f})
	check(t, err)
	client := &http.Client{Transport: &http.Transport{DialContext: s.net.DialContext}}
	s.c.Transports = streams.Transports{
		HTTP: streams.HTTPTransport{Client: client, Addresses: map[string]string{"provider": s.serve("127.0.0.1:9101", s.provider), "carrier": s.serve("127.0.0.1:9102", s.carrier)}},
		SMTP: streams.SMTPTransport{Dial: s.net.DialContext, Addresses: map[string]string{"mailbox": s.serveMail()}},
	}
	s.close = append(s.close, client.CloseIdleConnections)
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

func (s *shop) serve(addr string, x sim.Simulated) string {
	s.t.Helper()
	l, err := s.net.Listen("tcp", addr)
	check(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Serve(ctx, l, x, io.Discard) }()
	s.close = append(s.close, func() {
		stop()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	return "http://" + addr
}

func (s *shop) serveMail() string {
	s.t.Helper()
	const addr = "127.0.0.1:9103"
	l, err := s.net.Listen("tcp", addr)
	check(s.t, err)
	done := make(chan error, 1)
	go func() { done <- s.mailbox.Serve(l) }()
	s.close = append(s.close, func() {
		if err := s.mailbox.Close(); err != nil {
			s.t.Error(err)
		}
		<-done
	})
	return addr
}

// start runs one more instance of a service, whose log names it.
func (s *shop) start(service string) {
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
func (s *shop) end() {
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

func (s *shop) send(id, name string, c streams.Event) {
	s.t.Helper()
	cmd, err := streams.NewCommand(id, name, c)
	check(s.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r, err := s.c.Send(ctx, cmd); err != nil && !lanesMayHalt {
		s.t.Errorf("%s: %v", id, err)
	} else if r.Status == streams.ReplyDone && name == "place-order" {
		s.placed = append(s.placed, event.OrderID(c.Key().String()))
	}
}

func (s *shop) place(id, card string, lines ...event.Line) {
	s.t.Helper()
	s.send("place-"+id, "place-order", order.PlaceOrder{Order: event.OrderID(id), Customer: "c", Email: id + "@example.org", Card: card, Lines: lines,
		ShipTo: event.Address{Name: "N", Street: "S", City: "C", Postcode: "P", Country: "GB"}})
}

func (s *shop) cancel(id string) {
	s.t.Helper()
	s.send("cancel-"+id, "cancel-order", order.CancelOrder{Order: event.OrderID(id), Reason: "changed my mind"})
}

func line(sku string, n int64) event.Line {
	return event.Line{SKU: event.SKU(sku), Quantity: n, Unit: event.Money{Minor: 250, Currency: "GBP"}}
}

// deliver posts a delivery as ingestion would.
func (s *shop) deliver(id, sku string, n int64) {
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
func (s *shop) input() audit.Input {
	s.t.Helper()
	if s.stores == nil {
		s.stores = map[string]streams.Store{}
		for _, svc := range s.c.Topology.Services {
			s.stores[svc.Name] = s.c.OpenStore(svc.Name)
		}
	}
	in := audit.Input{Input: verify.Input{Topology: s.c.Topology, Partitions: partitions, Stores: maps.Clone(s.stores), Client: s.c.Client(), Complete: true, Settled: true, Decide: true},
		Acknowledged: s.placed, Provider: &audit.Provider{}, Carrier: &audit.Carrier{}, Mailbox: &audit.Mailbox{}}
	s.ledger(s.provider, in.Provider)
	s.ledger(s.carrier, in.Carrier)
	s.ledger(s.mailbox, in.Mailbox)
	return in
}

func (s *shop) ledger(h http.Handler, into any) {
	s.t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ledger", nil))
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil || w.Code != http.StatusOK {
		s.t.Fatalf("ledger: %d, %v", w.Code, err)
	}
}

// shut ends everything.
func (s *shop) shut() {
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
func (s *shop) day() {
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
