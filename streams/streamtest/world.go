package streamtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// brokers of a world: two, so that leaders and coordinators can move.
const brokers = 2

// World is one simulated run: a cluster, its instances, and what goes wrong.
type World struct {
	*Cluster
	T    testing.TB
	Rand *rand.Rand // of the work; what goes wrong is drawn from another

	sim      *Simulation
	schedule Schedule
	diary    *Diary
	client   *kgo.Client // of the world's own: nothing goes wrong with it
	began    time.Time
	answers  []*kfake.FaultHandle     // of the broker, to be taken back
	looks    map[string]streams.Store // opened to look into

	mu       sync.Mutex
	alive    map[string][]*Node
	started  int             // instances, ever
	copies   int             // of stores
	reserved map[string]bool // services that a restore has stopped
	healed   bool            // no more trouble: who would come back need not
	over     bool            // all instances are being stopped
	wg       sync.WaitGroup
	under    sync.WaitGroup       // trouble that takes its time
	seen     map[string]time.Time // group members' last requests
	broken   []string             // what the world itself found wrong
}

func newWorld(t *testing.T, s *Simulation, sch Schedule, d *Diary) *World {
	w := &World{T: t, Rand: rand.New(rand.NewPCG(sch.Seed, 0x3011)), sim: s, schedule: sch, diary: d, began: time.Now(), looks: map[string]streams.Store{},
		alive: map[string][]*Node{}, reserved: map[string]bool{}, seen: map[string]time.Time{}}
	w.Cluster = NewCluster(t, s.Topology, s.Partitions, kfake.NumBrokers(brokers), kfake.Ports(9092, 9093))
	w.StampRecords()
	w.Log = slog.New(&page{d: d})
	d.began = w.began
	var err error
	if w.client, err = kgo.NewClient(append(w.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.UnknownTopicRetries(-1))...); err != nil {
		t.Fatal(err)
	}
	for _, svc := range s.Topology.Services {
		w.looks[svc.Name] = w.OpenStore(svc.Name)
	}
	return w
}

// Send sends a command as a customer who does not give up: until it is
// answered, for five minutes at most.
func (w *World) Send(id, name string, c streams.Event) (streams.CommandReply, error) {
	cmd, err := streams.NewCommand(id, name, c)
	if err != nil {
		return streams.CommandReply{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for {
		attempt, stop := context.WithTimeout(ctx, 10*time.Second)
		r, err := w.Cluster.Send(attempt, cmd)
		stop()
		if err == nil || ctx.Err() != nil {
			return r, err
		}
	}
}

// Post puts an event from outside on its topic, as ingestion would. The same id
// again is the same event.
func (w *World) Post(id string, e streams.Event) error {
	f, ok := w.Topology.Vocabulary.FactOf(e)
	if !ok {
		return fmt.Errorf("%T is not registered", e)
	}
	topic, ok := w.Topology.Topic(f.Name)
	if !ok {
		return fmt.Errorf("nobody listens to %s", f.Name)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	key := e.Key().String()
	env := streams.Envelope{ID: id, Type: f.Name, Version: f.Version, Source: "/world", Time: time.Now(), Key: key, Data: data}
	return w.client.ProduceSync(context.Background(), env.Record(topic.Name, streams.Partition(key, w.Partitions))).FirstErr()
}

// Note writes to the run's diary.
func (w *World) Note(format string, args ...any) { w.diary.note(fmt.Sprintf(format, args...)) }

// startOne runs one more instance of a service; its clock may be wrong.
func (w *World) startOne(service string) *Node {
	w.mu.Lock()
	number := w.started
	w.started++
	w.mu.Unlock()
	skew := w.skewOf(number)
	log := w.Log.With("node", number)
	n := w.Start(service, func(cfg *streams.Config) {
		cfg.Log = log
		cfg.Hooks = append(cfg.Hooks, w.diary)
		cfg.MaxBatch = []int{2, 5, 1000}[(w.schedule.Seed+uint64(number))%3] // what comes in pages
		if skew != 0 {
			cfg.Now = func() time.Time { return time.Now().Add(skew) }
		}
	})
	w.Note("%s: instance %d starts, its clock is %s off", service, number, skew)
	w.mu.Lock()
	w.alive[service] = append(w.alive[service], n)
	w.mu.Unlock()
	w.wg.Go(func() { w.watch(n, number) })
	return n
}

func (w *World) skewOf(number int) time.Duration {
	if w.schedule.Skew == 0 {
		return 0
	}
	r := rand.New(rand.NewPCG(w.schedule.Seed, 0xc10c+uint64(number)))
	return time.Duration(r.Int64N(2*int64(w.schedule.Skew))) - w.schedule.Skew
}

// supervised is after how long whoever runs instances starts one again that has
// ended by itself.
const supervised = 5 * time.Second

// watch buries an instance that a trap has killed, and lets it come back.
func (w *World) watch(n *Node, number int) {
	back := time.Duration(0)
	select {
	case <-n.gate.died:
		n.Kill()
		n.gate.mu.Lock()
		if n.gate.trap != nil {
			back = n.gate.trap.back
		}
		n.gate.mu.Unlock()
		w.Note("%s: instance %d is dead", n.Service, number)
	case <-n.done:
		if n.err != nil {
			w.Note("%s: instance %d has ended: %v", n.Service, number, n.err)
			back = supervised
		}
	}
	w.lost(n)
	if w.deserted(n.Service) {
		w.startOne(n.Service)
	} else if back > 0 {
		w.wg.Go(func() { w.comeBack(n.Service, back) })
	}
}

// deserted tells whether a service has nobody left that trouble would bring
// back: its last instance died while all was being healed.
func (w *World) deserted(service string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.healed && !w.over && !w.reserved[service] && len(w.alive[service]) == 0
}

func (w *World) comeBack(service string, after time.Duration) {
	time.Sleep(after)
	w.mu.Lock()
	in := !w.healed && !w.reserved[service]
	w.mu.Unlock()
	if in {
		w.startOne(service)
	}
}

// lost takes an instance off the list of the living.
func (w *World) lost(n *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	nodes := w.alive[n.Service]
	for i := range nodes {
		if nodes[i] == n {
			w.alive[n.Service] = append(nodes[:i:i], nodes[i+1:]...)
			return
		}
	}
}

// pick returns the n-th living instance of a service, counting round.
func (w *World) pick(service string, n int) *Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	nodes := w.alive[service]
	if len(nodes) == 0 || w.reserved[service] {
		return nil
	}
	return nodes[n%len(nodes)]
}

func (w *World) living(service string) []*Node {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Node(nil), w.alive[service]...)
}

// look is a service's store, opened to look into it.
func (w *World) look(service string) streams.Store {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks[service]
}

// Violate notes something that is wrong with the run.
func (w *World) Violate(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// leave drains an instance, and expects that to go well.
func (w *World) leave(n *Node) {
	w.lost(n)
	err := n.Stop()
	if err != nil && !errors.Is(err, errKilled) {
		w.Violate("an instance of %s did not stop in order: %v", n.Service, err)
	}
}

// stopServices drains all instances.
func (w *World) stopServices() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	for _, svc := range w.Topology.Services {
		for _, n := range w.living(svc.Name) {
			w.under.Go(func() { w.leave(n) })
		}
	}
	w.under.Wait()
}

// close waits for what the world itself has running.
func (w *World) close() {
	w.wg.Wait()
	w.client.Close()
}

func (w *World) closeLooks() {
	for service, s := range w.looks {
		if err := s.Close(); err != nil {
			w.Violate("store of %s: %v", service, err)
		}
	}
}
