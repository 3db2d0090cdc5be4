package practice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/streams"
)

// noise is traffic that nobody wants: it runs until it is ended.
type noise struct {
	mu      sync.Mutex
	running map[string]context.CancelFunc // they return when it has ended
}

// source is what makes a noise: once, again and again, and stop at the end.
type source struct {
	every time.Duration
	once  func(context.Context) error
	stop  func() // may be nil
}

// begin starts a noise. It fails if it cannot be made at all.
func (n *noise) begin(name string, make func() (source, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := make()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := s.run(ctx)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.running[name] = func() { cancel(); <-done }
		return nil
	}
}

func (n *noise) end(name string) func(context.Context) error {
	return func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.running[name]()
		delete(n.running, name)
		return nil
	}
}

// run makes the noise until ctx ends; its failures are part of it.
func (s source) run(ctx context.Context) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		if s.stop != nil {
			defer s.stop()
		}
		tick := time.NewTicker(s.every)
		defer tick.Stop()
		for {
			_ = s.once(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return done
}

// delivery is an event from outside, as it is posted, about the thing of a name.
func (f *Faults) delivery(id, name string) map[string]any {
	e := f.Business.Customer.Delivery(name)
	return map[string]any{"specversion": "1.0", "id": id, "source": "/practice", "type": f.Topology.Name(e), "data": e}
}

// postEvents posts a batch as a client of this key.
func (f *Faults) postEvents(ctx context.Context, key string, events []map[string]any) (status int, err error) {
	body, err := json.Marshal(events)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+f.HTTP+ingest.Path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/cloudevents-batch+json")
	req.Header.Set(edge.APIKeyHeader, key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// hotKey posts a hundred deliveries of one thing five times a second.
func (f *Faults) hotKey() (source, error) {
	n := 0
	return source{every: 200 * time.Millisecond, once: func(ctx context.Context) error {
		events := make([]map[string]any, 100)
		for i := range events {
			n++
			events[i] = f.delivery(fmt.Sprintf("hot-%d-%d", time.Now().UnixNano(), n), "hot")
		}
		_, err := f.postEvents(ctx, "hot-key", events)
		return err
	}}, nil
}

// flood posts single deliveries at three times the quota.
func (f *Faults) flood() (source, error) {
	quota := f.PerSecond
	if quota <= 0 {
		return source{}, fmt.Errorf("this platform has no quota, and takes all it can: set quota.per_second")
	}
	return source{every: time.Second / 10, once: func(ctx context.Context) error {
		var posting sync.WaitGroup
		for range 8 {
			posting.Go(func() {
				for range int(quota*3/10/8) + 1 {
					if _, err := f.postEvents(ctx, "flood", []map[string]any{f.delivery(fmt.Sprint("flood-", time.Now().UnixNano()), "flood")}); err != nil {
						return
					}
				}
			})
		}
		posting.Wait()
		return nil
	}}, nil
}

// repeats publishes again, byte for byte, what is on the log of that which begins sagas.
func (f *Faults) repeats() (source, error) {
	topic := f.startTopic()
	cl, err := kgo.NewClient(append(f.Kafka[:len(f.Kafka):len(f.Kafka)], kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return source{}, err
	}
	var known []*kgo.Record
	return source{every: 200 * time.Millisecond, stop: cl.Close, once: func(ctx context.Context) error {
		if len(known) < 100 {
			wait, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			known = append(known, cl.PollRecords(wait, 100).Records()...)
		}
		again := make([]*kgo.Record, min(len(known), 20))
		for i := range again {
			r := known[i]
			again[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
		}
		return cl.ProduceSync(ctx, again...).FirstErr()
	}}, nil
}

// poisonOn writes an event that nobody can read, as a broken producer would.
func (f *Faults) poisonOn(ctx context.Context) error {
	key := fmt.Sprintf("poison-%x", time.Now().Unix())
	e := streams.Envelope{ID: key, Type: f.Topology.Name(f.Business.Customer.Delivery(key)), Version: 1, Source: "/practice", Time: time.Now(), Key: key, Data: []byte(`"poison"`)}
	topic, ok := f.Topology.Topic(e.Type)
	if !ok {
		return fmt.Errorf("nothing carries %s", e.Type)
	}
	cl, err := kgo.NewClient(append(f.Kafka[:len(f.Kafka):len(f.Kafka)], kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	f.poison = streams.StreamID{Decider: f.Topology.Readers(e.Type)[0], Key: key}
	return cl.ProduceSync(ctx, e.Record(topic.Name, streams.Partition(key, f.Partitions))).FirstErr()
}

func (f *Faults) poisonOff(ctx context.Context) error {
	service, _, ok := f.Topology.Decider(f.poison.Decider)
	if !ok {
		return nil
	}
	left, err := f.Drop(ctx, service.Name, f.poison)
	if errors.Is(err, streams.ErrNotParked) { // somebody has dropped it by hand
		return nil
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%d inputs of %s are still parked", left, f.poison.Key)
	}
	return err
}
