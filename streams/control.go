package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// controlRecord is what the control topic keeps of a unit or a lane, keyed by
// its name.
type controlRecord struct {
	Partitions  int32  `json:"partitions"`
	Incarnation string `json:"incarnation,omitempty"`
	Epoch       int64  `json:"epoch,omitempty"` // of a lane: how far it has come
	Rev         int64  `json:"rev,omitempty"`
	Last        int64  `json:"last,omitempty"`
}

// platformUnit is the control record of the platform as a whole.
const platformUnit = "platform"

// checkControl stops a start on a store that the platform does not know, or
// with another partition count than the one it was made with.
func checkControl(ctx context.Context, cfg *Config, service string, info StoreInfo) error {
	have, err := readControl(ctx, cfg.Client)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	if p, ok := have[platformUnit]; ok && p.Partitions != cfg.Partitions {
		return &OfflineError{fmt.Errorf("the platform was made with %d partitions, not %d: set the count back, or migrate it drained",
			p.Partitions, cfg.Partitions)}
	} else if !ok {
		if err := writeControl(ctx, cfg.Client, platformUnit, controlRecord{Partitions: cfg.Partitions}); err != nil {
			return err
		}
	}
	mine, ok := have[service]
	if ok && mine.Incarnation != info.Incarnation {
		return &OfflineError{fmt.Errorf("the event store (incarnation %s) is not the one that service %s used before (%s): "+
			"restore that one, or accept a new beginning: %s",
			info.Incarnation, service, mine.Incarnation, storeCommand("accept", service))}
	} else if ok {
		return nil
	}
	return writeControl(ctx, cfg.Client, service, controlRecord{Partitions: cfg.Partitions, Incarnation: info.Incarnation})
}

// OfflineError is trouble that only a stopped process can be cured of: to try
// again within one that runs is of no use. What to do is in its text.
type OfflineError struct{ Err error }

func (e *OfflineError) Error() string { return e.Err.Error() }
func (e *OfflineError) Unwrap() error { return e.Err }

// storeCommand is how a person changes a service's store. No process may have it
// open, nor, of a weir dev, the directory: restarting the unit is not enough.
func storeCommand(verb, service string) string {
	return fmt.Sprintf("stop every process of it, weir store %s %s (of a weir dev --data DIR, with that --data), and start them again",
		verb, service)
}

// Incarnations are those of the services' stores, as recorded in the control
// topic by each service that has ever started. What is remembered of a store
// elsewhere means nothing for its next incarnation.
func Incarnations(ctx context.Context, client []kgo.Opt) (map[string]string, error) {
	have, err := readControl(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	out := map[string]string{}
	for unit, c := range have {
		if c.Incarnation != "" && !strings.HasPrefix(unit, lanePrefix) {
			out[unit] = c.Incarnation
		}
	}
	return out, nil
}

// controlProducer are the options of who writes to the control topic. A record
// may come twice there, so that one may be given up: an idempotent producer
// could not, and would hold up a process that ends.
func controlProducer(opts []kgo.Opt) []kgo.Opt {
	return append(opts[:len(opts):len(opts)], kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1))
}

// writeControl writes what the control topic keeps of a unit, after taking away
// what it keeps of others.
func writeControl(ctx context.Context, opts []kgo.Opt, unit string, c controlRecord, forget ...string) error {
	r, err := controlRecordOf(unit, c)
	if err != nil {
		return err
	}
	var recs []*kgo.Record
	for _, f := range forget {
		recs = append(recs, &kgo.Record{Topic: ControlTopic, Key: []byte(f)})
	}
	cl, err := kgo.NewClient(controlProducer(opts)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, r := range append(recs, r) { // in this order: cut short, the service is still refused
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			return fmt.Errorf("recording %s in %s: %w", r.Key, ControlTopic, err)
		}
	}
	return nil
}

func controlRecordOf(unit string, c controlRecord) (*kgo.Record, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return &kgo.Record{Topic: ControlTopic, Key: []byte(unit), Value: b}, nil
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
	if err == nil {
		err = ends.Error() // else an answer without an end would look like an empty topic
	}
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
