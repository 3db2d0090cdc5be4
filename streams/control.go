package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// controlRecord is what the control topic keeps of a unit, keyed by its name.
type controlRecord struct {
	Partitions  int32  `json:"partitions"`
	Incarnation string `json:"incarnation,omitempty"`
}

// platformUnit is the control record of the platform as a whole.
const platformUnit = "platform"

// MakeTopics makes every topic of a topology that is missing, and checks those
// that are there. Instances do it too, for their own; who only reads may come
// before them.
func MakeTopics(ctx context.Context, cfg Config) error {
	cfg.defaults()
	cl, err := kgo.NewClient(cfg.Client...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return makeEventTopics(ctx, kadm.NewClient(cl), &cfg)
}

// prepareTopics makes the topics that are missing, checks those that are
// there, and compares the control topic with the store.
func prepareTopics(ctx context.Context, cfg *Config, p *plan, info StoreInfo) error {
	cl, err := kgo.NewClient(cfg.Client...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if err := makeEventTopics(ctx, adm, cfg, LaneTopic(p.service), DeadTopic(p.service)); err != nil {
		return err
	}
	compact := "compact"
	if err := makeTopics(ctx, adm, 1, cfg.Replication, map[string]*string{"cleanup.policy": &compact}, ControlTopic); err != nil {
		return err
	}
	return checkControl(ctx, cfg, p.service, info)
}

// makeEventTopics makes the topology's topics and more of their kind: kept for
// ever, as whoever is new may want all.
func makeEventTopics(ctx context.Context, adm *kadm.Client, cfg *Config, more ...string) error {
	for _, t := range cfg.Topology.Topics() {
		more = append(more, t.Name)
	}
	forever := "-1"
	return makeTopics(ctx, adm, cfg.Partitions, cfg.Replication, map[string]*string{"retention.ms": &forever}, more...)
}

func makeTopics(ctx context.Context, adm *kadm.Client, partitions int32, replication int16, configs map[string]*string, topics ...string) error {
	rs, err := adm.CreateTopics(ctx, partitions, replication, configs, topics...)
	if err != nil {
		return fmt.Errorf("making topics: %w", err)
	}
	for _, r := range rs {
		if r.Err != nil && !errors.Is(r.Err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("making topic %s: %w", r.Topic, r.Err)
		}
	}
	details, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("looking at topics: %w", err)
	}
	for _, t := range topics {
		if n := len(details[t].Partitions); details[t].Err == nil && n != int(partitions) {
			return fmt.Errorf("topic %s has %d partitions, the platform %d: keys would move to other lanes. Growth is a drained migration; set the partition count back", t, n, partitions)
		}
	}
	return nil
}

// checkControl stops a start on a store that the platform does not know, or
// with another partition count than the one it was made with.
func checkControl(ctx context.Context, cfg *Config, service string, info StoreInfo) error {
	have, err := readControl(ctx, cfg.Client)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	if p, ok := have[platformUnit]; ok && p.Partitions != cfg.Partitions {
		return fmt.Errorf("the platform was made with %d partitions, not %d: set the count back, or migrate it drained", p.Partitions, cfg.Partitions)
	} else if !ok {
		if err := writeControl(ctx, cfg.Client, platformUnit, controlRecord{Partitions: cfg.Partitions}); err != nil {
			return err
		}
	}
	mine, ok := have[service]
	if ok && mine.Incarnation != info.Incarnation {
		return fmt.Errorf("the event store (incarnation %s) is not the one that service %s used before (%s): restore that one, or delete the record %q from topic %s to accept a new beginning",
			info.Incarnation, service, mine.Incarnation, service, ControlTopic)
	} else if ok {
		return nil
	}
	return writeControl(ctx, cfg.Client, service, controlRecord{cfg.Partitions, info.Incarnation})
}

func writeControl(ctx context.Context, opts []kgo.Opt, unit string, c controlRecord) error {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: ControlTopic, Key: []byte(unit), Value: b}).FirstErr(); err != nil {
		return fmt.Errorf("recording %s in %s: %w", unit, ControlTopic, err)
	}
	return nil
}

// readControl reads the control topic to its end.
func readControl(ctx context.Context, opts []kgo.Opt) (map[string]controlRecord, error) {
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{ControlTopic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, ControlTopic)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(ControlTopic, 0)
	out := map[string]controlRecord{}
	for read := int64(0); read < end.Offset; {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return nil, err
		}
		f.EachRecord(func(r *kgo.Record) {
			read = r.Offset + 1
			var c controlRecord
			if len(r.Value) == 0 {
				delete(out, string(r.Key))
			} else if json.Unmarshal(r.Value, &c) == nil {
				out[string(r.Key)] = c
			}
		})
	}
	return out, nil
}
