package shop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// house is the whole business in virtual time: the five services on a cluster,
// and provider, carrier and mailbox on the cluster's own network.
type house struct {
	t        *testing.T
	c        *streamtest.Cluster
	world    *sim.World
	provider sim.Simulated
	carrier  sim.Simulated
	mailbox  *sim.Mailbox
	nodes    map[string]*streamtest.Node // the latest of each service
	stores   map[string]streams.Store    // once more, for looks into them
	placed   map[event.OrderID]event.Money
	received map[event.SKU]int64
	sent     int
	close    []func()
}

// inShop opens a shop, runs f, and checks at its end what must hold for every
// order that was placed, however it went.
func inShop(t *testing.T, partitions int32, f func(s *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := openShop(t, partitions)
		f(s)
		s.audit()
	})
}

func openShop(t *testing.T, partitions int32) *house {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	s := &house{t: t, c: streamtest.NewCluster(t, top, partitions), nodes: map[string]*streamtest.Node{}, stores: map[string]streams.Store{},
		placed: map[event.OrderID]event.Money{}, received: map[event.SKU]int64{}}
	t.Cleanup(s.shut)
	s.world, err = sim.OpenWorld(s.c, shop.Business.Endpoints(), sim.Faults{})
	check(t, err)
	s.provider, s.carrier, s.mailbox = s.world.Servers["provider"], s.world.Servers["carrier"], s.world.Servers["mailbox"].(*sim.Mailbox)
	s.c.Transports = s.world.Transports
	s.close = append(s.close, func() { check(t, s.world.Close()) })
	for _, svc := range top.Services {
		s.stores[svc.Name] = s.c.OpenStore(svc.Name)
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

// books are what an endpoint says has happened, by order.
func books[T any](s *house, endpoint string) map[event.OrderID]T {
	s.t.Helper()
	all, err := s.world.Ledgers()
	check(s.t, err)
	var l struct{ Books map[event.OrderID]T }
	check(s.t, json.Unmarshal(all[endpoint], &l))
	return l.Books
}

func (s *house) account(id event.OrderID) provider.Account {
	return books[provider.Account](s, "provider")[id]
}

func (s *house) labels(id event.OrderID) []string { return books[[]string](s, "carrier")[id] }

// shut ends everything, the outside last.
func (s *house) shut() {
	s.c.Close()
	for _, f := range slices.Backward(s.close) {
		f()
	}
	for _, st := range s.stores {
		check(s.t, st.Close())
	}
}

// start runs an instance of a service, which stop and kill then mean.
func (s *house) start(service string) { s.nodes[service] = s.c.Start(service) }

func (s *house) stop(service string) {
	s.t.Helper()
	check(s.t, s.nodes[service].Stop())
}

// send sends a command under an id of its own and returns the answer.
func (s *house) send(name string, c streams.Event) streams.CommandReply {
	s.t.Helper()
	s.sent++
	return s.sendAs(fmt.Sprintf("%s-%d", name, s.sent), name, c)
}

func (s *house) sendAs(id, name string, c streams.Event) streams.CommandReply {
	s.t.Helper()
	cmd, err := streams.NewCommand(id, name, c)
	check(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	r, err := s.c.Send(ctx, cmd)
	if err != nil {
		s.t.Fatalf("%s of %s: %v; lanes %+v", name, c.Key(), err, s.c.Lanes())
	}
	return r
}

// placing is a valid order with a card that is good.
func placing(id event.OrderID, lines ...event.Line) order.PlaceOrder {
	return order.PlaceOrder{Order: id, Customer: "c-1", Email: string(id) + "@example.org", Card: "tok-" + string(id), Lines: lines,
		ShipTo: event.Address{Name: "N", Street: "S", City: "C", Postcode: "P", Country: "GB"}}
}

func line(sku event.SKU, n int64) event.Line {
	return event.Line{SKU: sku, Quantity: n, Unit: event.Money{Minor: 250, Currency: "GBP"}}
}

// place places an order, and wants it taken.
func (s *house) place(c order.PlaceOrder) {
	s.t.Helper()
	r := s.send("place-order", c)
	var body order.Reply
	if err := json.Unmarshal(r.Body, &body); err != nil || r.Status != streams.ReplyDone || body.State != "placed" {
		s.t.Fatalf("placing %s: %s %s %v", c.Order, r.Status, r.Body, err)
	}
	s.placed[c.Order] = body.Total
}

// cancel cancels an order and wants that answer: "done" or the code of a no.
func (s *house) cancel(id event.OrderID, want string) {
	s.t.Helper()
	r := s.send("cancel-order", order.CancelOrder{Order: id, Reason: "changed my mind"})
	if got := string(r.Status); got != want && !strings.Contains(string(r.Body), `"`+want+`"`) {
		s.t.Errorf("cancelling %s: %s %s, want %s", id, r.Status, r.Body, want)
	}
}

// deliver posts a delivery as ingestion does, twice, as the world does.
func (s *house) deliver(sku event.SKU, n int64) {
	s.t.Helper()
	cl, err := kgo.NewClient(append(s.c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...)
	check(s.t, err)
	defer cl.Close()
	data, err := json.Marshal(event.StockReceived{SKU: sku, Quantity: n})
	check(s.t, err)
	s.sent++
	e := streams.Envelope{ID: fmt.Sprint("delivery-", s.sent), Type: "stock.received", Source: "/door", Time: time.Now(), Key: string(sku), Data: data}
	for range 2 {
		check(s.t, cl.ProduceSync(s.t.Context(), e.Record("external.sku", streams.Partition(string(sku), s.c.Partitions))).FirstErr())
	}
	s.received[sku] += n
	s.until(time.Minute, "delivery of "+string(sku), func() bool { return s.shelf(sku).OnHand+s.shelf(sku).Shipped == s.received[sku] })
}

// until waits for something, for so long of virtual time.
func (s *house) until(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: not after %v; lanes %+v", what, limit, s.c.Lanes())
		}
	}
}

// phase waits until an order is in a phase.
func (s *house) phase(id event.OrderID, want string) {
	s.t.Helper()
	s.until(15*time.Minute, fmt.Sprintf("order %s %s", id, want), func() bool { return s.order(id).Phase == want })
}

// closed waits until orders are over.
func (s *house) closed(ids ...event.OrderID) {
	s.t.Helper()
	for _, id := range ids {
		for end := time.Now().Add(30 * time.Minute); !s.order(id).Closed; time.Sleep(time.Second) {
			if time.Now().After(end) {
				s.t.Fatalf("order %s is not over: %+v; %s; lanes %+v", id, s.order(id), s.story()[id], s.c.Lanes())
			}
		}
	}
}

type orderState struct {
	Phase  string `json:"phase"`
	Closed bool   `json:"closed"`
}

func (s *house) order(id event.OrderID) (o orderState) {
	s.load("order", "order", string(id), &o)
	return o
}

type shelfState struct {
	OnHand  int64          `json:"on_hand"`
	Claimed int64          `json:"claimed"`
	Shipped int64          `json:"shipped"`
	Holds   map[string]any `json:"holds"`
}

func (s *house) shelf(sku event.SKU) (x shelfState) {
	s.load("inventory", "shelf", string(sku), &x)
	return x
}

func (s *house) load(service, decider, key string, into any) {
	s.t.Helper()
	id := streams.StreamID{Decider: decider, Key: key}
	snaps, err := s.stores[service].Load(s.t.Context(), streams.Partition(key, s.c.Partitions), []streams.StreamID{id})
	check(s.t, err)
	for _, sn := range snaps {
		check(s.t, json.Unmarshal(sn.State, into))
	}
}

// happened is what is stored of one order: how often each type, and the events.
type happened struct {
	counts map[string]int
	events map[string]streams.Envelope // the last of each type
}

func (h happened) String() string {
	var out []string
	for _, n := range slices.Sorted(maps.Keys(h.counts)) {
		out = append(out, fmt.Sprintf("%s %d", n, h.counts[n]))
	}
	return strings.Join(out, ", ")
}

// story reads every stored event of every order, private ones included.
func (s *house) story() map[event.OrderID]happened {
	s.t.Helper()
	takesPart, out := map[string]bool{}, map[event.OrderID]happened{}
	for _, st := range shop.PlaceOrder.Steps(s.c.Topology) {
		takesPart[st.By] = true
	}
	for _, st := range s.stores {
		for lane := range s.c.Partitions {
			err := st.Outbox(s.t.Context(), lane, 0, 1<<30, func(e streams.StoredEvent) error {
				env, err := e.Envelope()
				decider := path.Base(env.Source)
				if _, _, decides := s.c.Topology.Decider(decider); err != nil || decides && !takesPart[decider] { // who only watches tells no part of it
					return err
				}
				id := event.OrderID(env.Correlation)
				h, ok := out[id]
				if !ok {
					h = happened{map[string]int{}, map[string]streams.Envelope{}}
					out[id] = h
				}
				h.counts[e.Type]++
				h.events[e.Type] = env
				return nil
			})
			check(s.t, err)
		}
	}
	return out
}
