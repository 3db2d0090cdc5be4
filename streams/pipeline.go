package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Pipeline is a stateless Kafka-to-Kafka step: filter, map, route.
type Pipeline struct {
	Name  string
	On    []Event // zero values
	Emits []Event // zero values
	// Step returns what an event becomes: nothing, one or many. It is pure; an
	// error sends the event to the dead letters and the pipeline goes on.
	Step func(Event) ([]Event, error)
	// Transactional commits output and offsets in one Kafka transaction.
	// Without it output is at least once, and its repeats drop at lanes.
	Transactional bool
}

// inputs are the wire names of what the pipeline reads.
func (p Pipeline) inputs(v *Vocabulary) (types []string, errs []error) {
	for _, e := range p.On {
		f, ok := v.FactOf(e)
		if !ok {
			errs = append(errs, fmt.Errorf("pipeline %s reads %T, which is not registered: add streams.NewFact[%T](…) to the vocabulary", p.Name, e, e))
			continue
		}
		if f.Private {
			errs = append(errs, fmt.Errorf("pipeline %s reads %s, which is private: read an event that is not", p.Name,
				f.Name))
		}
		types = append(types, f.Name)
	}
	return types, errs
}

func (t *Topology) ownPipeline(p Pipeline) (errs []error) {
	for _, e := range p.Emits {
		f, ok := t.Vocabulary.FactOf(e)
		if !ok {
			errs = append(errs, fmt.Errorf("pipeline %s may emit %T, which is not registered: add streams.NewFact[%T](…) to the vocabulary", p.Name, e, e))
			continue
		}
		if f.Private {
			errs = append(errs, fmt.Errorf("pipeline %s may emit %s, which is private: a pipeline has no store to keep it in", p.Name, f.Name))
		}
		errs = append(errs, t.ownType("pipeline "+p.Name, p.Name, f)...)
	}
	return errs
}

// pipelineFan bounds the outputs of one input: a sequence is made of the
// source's and the output's index.
const pipelineFan = 1 << 16

// PipelineInstance is one of those that run a pipeline. Any number of them share
// its input, through a consumer group named after it.
type PipelineInstance struct {
	cfg    *Config
	p      Pipeline
	types  []string
	routes map[reflect.Type]route // of what it may emit
	// the topics that another pipeline writes
	chained map[string]bool
	opts    []kgo.Opt // of its membership in the group
	hooks   hooks
	log     *slog.Logger

	mu      sync.Mutex
	trouble error // why it passes nothing on now
}

// NewPipelineInstance prepares an instance of a pipeline. It does no I/O.
func NewPipelineInstance(cfg Config, name string) (*PipelineInstance, error) {
	cfg.defaults()
	n := slices.IndexFunc(cfg.Topology.Pipelines, func(p Pipeline) bool { return p.Name == name })
	if n < 0 {
		return nil, fmt.Errorf("the topology has no pipeline %q", name)
	}
	r := &PipelineInstance{cfg: &cfg, p: cfg.Topology.Pipelines[n], log: cfg.Log.With("pipeline", name),
		hooks: sortHooks(cfg.Hooks), trouble: errNotJoined}
	r.types, _ = r.p.inputs(cfg.Topology.Vocabulary) // checked by NewTopology
	r.routes, r.chained = map[reflect.Type]route{}, map[string]bool{}
	for _, t := range cfg.Topology.Topics() {
		r.chained[t.Name] = slices.ContainsFunc(cfg.Topology.Pipelines,
			func(p Pipeline) bool { return p.Name == t.Writer })
	}
	for _, e := range r.p.Emits {
		f, _ := cfg.Topology.Vocabulary.FactOf(e)
		t, _ := cfg.Topology.Topic(f.Name)
		r.routes[reflect.TypeOf(e)] = route{f, t.Name}
	}
	return r, nil
}

// prepare makes the topics.
func (r *PipelineInstance) prepare(ctx context.Context) error {
	return makeTopics(ctx, r.cfg, append(eventTopics(r.cfg), eventTopic(r.cfg, DeadTopic(r.p.Name)),
		positionsTopic(r.cfg, r.p.Name))...)
}

// passing is what was polled of a partition and is about to be passed on, with
// those who want to hear how that ends.
type passing struct {
	BatchInfo
	hops []func(BatchInfo, error)
}

// tellHops tells them how it ended.
func (p *passing) tellHops(err error) {
	for _, f := range p.hops {
		f(p.BatchInfo, err)
	}
}

// outputs turns polled records into records to produce, in order, and tells what
// it saw of each partition, and the positions behind them.
func (r *PipelineInstance) outputs(f kgo.Fetches, s *standing) (out, positions []*kgo.Record, seen []passing,
	err error) {
	began := r.cfg.Now()
	out = make([]*kgo.Record, 0, f.NumRecords())
	f.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		b := passing{BatchInfo: BatchInfo{Service: r.p.Name, Lane: p.Partition,
			Inputs: make([]InputInfo, 0, len(p.Records)), Events: make([]string, 0, len(p.Records))}}
		offsets := r.offsets(p.Topic, p.Partition, s.id(p.Topic))
		log := NewLogReader(p.Records[0].Offset, false, nil)
		for _, rec := range p.Records {
			if err != nil {
				break
			}
			out, err = r.output(out, log, rec, offsets, began, &b)
		}
		positions = append(positions, s.position(p.Topic, p.Partition, log.Next))
		if len(b.Inputs) > 0 {
			seen = append(seen, b)
		}
	})
	took := r.cfg.Now().Sub(began)
	for i := range seen {
		seen[i].Decide = took
		if err != nil {
			seen[i].tellHops(err)
		}
	}
	return out, positions, seen, err
}

// output adds what becomes of a record, which is noted in its batch. A pipeline
// takes no sequences: what becomes of a repeat is one itself, for who reads it.
func (r *PipelineInstance) output(out []*kgo.Record, log *LogReader, rec *kgo.Record, offsets Lane, at time.Time,
	b *passing) ([]*kgo.Record, error) {
	in, what, err := log.Read(rec)
	switch what {
	case ReadUnreadable: // nothing that it says of itself can be relied on
		b.Inputs = append(b.Inputs, InputInfo{Decider: r.p.Name, Kind: EventInput, Name: "unreadable",
			Result: InputParked})
		return r.dead(out, rec, offsets, &in, err), nil
	case ReadReplayed, ReadControl, ReadBehind:
		return out, nil
	}
	if !slices.Contains(r.types, in.Type) {
		return out, nil
	}
	hop := Hop{Service: r.p.Name, Decider: r.p.Name, Kind: EventInput, Name: in.Type, Topic: rec.Topic,
		Partition: rec.Partition, Offset: rec.Offset, Origin: in.origin(), ID: in.ID}
	var done func(BatchInfo, error)
	if h := r.hooks.decide; h != nil {
		in.Traceparent, done = h.OnDecide(hop)
	}
	info := InputInfo{Decider: r.p.Name, Kind: EventInput, Name: in.Type, Age: at.Sub(in.takenAt(rec)),
		Result: InputDecided, Key: in.Key, Origin: in.origin()}
	made, events := len(out), len(b.Events)
	out, err = r.become(out, rec, offsets, &in, b)
	switch {
	case done != nil && err != nil:
		done(b.BatchInfo, err)
	case done != nil:
		b.hops = append(b.hops, done)
	}
	var newer *NewerVersionError
	if errors.As(err, &newer) {
		return nil, err
	}
	if err != nil { // nothing of what it became goes out
		if h := r.hooks.decide; h != nil && done == nil {
			in.Traceparent = h.OnFail(hop, err)
		}
		b.Events, info.Result = b.Events[:events], InputParked
		out = r.dead(out[:made], rec, offsets, &in, err)
	}
	b.Inputs = append(b.Inputs, info)
	return out, nil
}

// become decodes an event and adds records of what it becomes.
func (r *PipelineInstance) become(out []*kgo.Record, rec *kgo.Record, offsets Lane, in *Envelope,
	b *passing) ([]*kgo.Record, error) {
	f, _ := r.cfg.Topology.Vocabulary.Fact(in.Type)
	e, err := f.Decode(in.Version, in.Data)
	if err == nil {
		err = sameKey(e, in.Key)
	}
	if err != nil {
		return out, err
	}
	events, err := r.step(e)
	if err == nil && len(events) >= pipelineFan {
		err = fmt.Errorf("one event became %d: at most %d", len(events), pipelineFan-1)
	}
	if err != nil {
		return out, err
	}
	from, first, err := r.source(rec, offsets, in)
	if err != nil {
		return out, err
	}
	for i, e := range events {
		to, ok := r.routes[reflect.TypeOf(e)]
		if !ok {
			return out, fmt.Errorf("emitted %T, which it does not declare", e)
		}
		o, err := r.record(to, from, first+int64(i), in, e, i)
		if err != nil {
			return out, err
		}
		out, b.Events = append(out, o), append(b.Events, to.fact.Name)
	}
	return out, nil
}

func (r *PipelineInstance) step(e Event) (out []Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("step panicked: %v", p)
		}
	}()
	return r.p.Step(e)
}

// source is the lane that what becomes of a record is of, and its first sequence
// there. They follow from the lane that wrote the record, and its sequence: what
// that lane publishes again lies at another offset, and becomes the same. Of a
// record that no lane wrote they follow from its offset. What comes of another
// pipeline keeps its index there in the lane, or numbers would grow without end.
func (r *PipelineInstance) source(rec *kgo.Record, offsets Lane, in *Envelope) (Lane, int64, error) {
	if in.Lane == "" {
		return offsets, (rec.Offset + 1) * pipelineFan, nil
	}
	from, seq := r.p.Name+"/"+rec.Topic+"/"+string(in.Lane), in.Seq
	if r.chained[rec.Topic] {
		from, seq = from+"/"+strconv.FormatInt(seq%pipelineFan, 10), seq/pipelineFan
	}
	if seq > math.MaxInt64/pipelineFan-1 {
		return "", 0, fmt.Errorf("number %d of lane %s is too high to be passed on", in.Seq, in.Lane)
	}
	return Lane(from), seq * pipelineFan, nil
}

// record makes an output's record. It knows no Prev, as the pipeline keeps no
// state: a hole in a pipeline's output is not noticed downstream.
func (r *PipelineInstance) record(to route, from Lane, seq int64, in *Envelope, e Event, index int,
) (*kgo.Record, error) {
	key := e.Key().String()
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	data, err := codec.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(data) > r.cfg.MaxEventBytes-2048 {
		return nil, fmt.Errorf("output %T is %d bytes long, the broker takes %d", e, len(data),
			r.cfg.MaxEventBytes-2048)
	}
	env := Envelope{ID: deriveID(in.cause(), r.p.Name, strconv.Itoa(index)), Type: to.fact.Name,
		Version: to.fact.Version, Source: "/" + r.p.Name, Time: in.Time, Key: key,
		Correlation: in.Saga(), Causation: in.ID, Traceparent: in.Traceparent, Data: data,
		Lane: from, Seq: seq}
	return env.Record(to.topic, Partition(key, r.cfg.Partitions)), nil
}

// offsets is the lane that is numbered by a topic's offsets, in one of the topic's
// lives. Made anew, a topic begins at offset 0 again, and what became of its
// records would be taken for repeats.
func (r *PipelineInstance) offsets(topic string, partition int32, id string) Lane {
	return Lane(r.p.Name + "/" + topic + "/" + strconv.Itoa(int(partition)) + "/" + id)
}

// dead adds the report of an input that the pipeline cannot use.
func (r *PipelineInstance) dead(out []*kgo.Record, rec *kgo.Record, offsets Lane, in *Envelope,
	why error) []*kgo.Record {
	from := fmt.Sprintf("%s/%d@%d", rec.Topic, rec.Partition, rec.Offset)
	r.log.Error("input to the dead letters", "from", from, "reason", why)
	body, err := codec.Marshal(DeadLetter{Service: r.p.Name, Key: in.Key, Name: in.Type, ID: in.ID, From: from,
		Reason: why.Error()})
	if err != nil {
		return out // strings always encode
	}
	env := Envelope{ID: deriveID(from, r.p.Name, "dead"), Type: ParkedType, Version: 1, Source: "/" + r.p.Name,
		Time: r.cfg.Now(), Key: "pipeline",
		Correlation: in.Saga(), Causation: in.ID, Traceparent: in.Traceparent, Data: body,
		Lane: offsets, Seq: (rec.Offset + 1) * pipelineFan}
	return append(out, env.Record(DeadTopic(r.p.Name), 0))
}
