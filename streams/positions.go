package streams

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// PositionsTopic keeps how far a pipeline has read. It is compacted and has the
// platform's partitions: that of an input's partition has the same number. A
// group's offsets would not do: they expire, and know no topic's id.
func PositionsTopic(pipeline string) string { return pipeline + ".positions" }

func positionsTopic(cfg *Config, pipeline string) TopicSpec {
	s := eventTopic(cfg, PositionsTopic(pipeline))
	s.Configs["cleanup.policy"] = "compact"
	s.Configs["segment.bytes"] = "16777216" // only closed segments become short, and a start reads them
	return s
}

// positionRecord is how far a partition is read, in one of its topic's lives. Its
// key is the topic, the partition and the id: what an old member still says of a
// topic that is gone does not displace what is known of the new one.
type positionRecord struct {
	Topic   string `json:"topic"`
	TopicID string `json:"topic_id"`
	Next    int64  `json:"next"` // the offset of the next record to read
}

func (p positionRecord) record(pipeline string, partition int32) *kgo.Record {
	b, _ := json.Marshal(p) // strings and numbers always encode
	key := fmt.Sprintf("%s/%d/%s", p.Topic, partition, p.TopicID)
	return &kgo.Record{Topic: PositionsTopic(pipeline), Partition: partition, Key: []byte(key), Value: b}
}

// idOf is a topic's id as Kafka's own tools show it.
func idOf(d kadm.TopicDetail) string { return base64.RawURLEncoding.EncodeToString(d.ID[:]) }

// standing is what one membership knows of the pipeline's positions.
type standing struct {
	r    *PipelineInstance
	stop context.CancelCauseFunc // ends the membership

	mu  sync.Mutex
	ids map[string]string // of the topics that it reads, by name
}

func (s *standing) id(topic string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[topic]
}

// adjust decides where partitions that the group has given to this member are
// read from. What it returns an error for, the membership ends for.
func (s *standing) adjust(ctx context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	limit, cancel := context.WithTimeout(ctx, rebalanceTime)
	defer cancel()
	s.r.tell(errLooking)
	out, err := s.begin(limit, fetched)
	if err != nil && ctx.Err() == nil {
		s.stop(fmt.Errorf("where to read from: %w", err))
		return nil, err
	}
	s.r.tell(nil) // also if the partitions are taken away already
	return out, err
}

func (s *standing) begin(ctx context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	parts := map[int32]bool{}
	for _, offsets := range fetched {
		for p := range offsets {
			parts[p] = true
		}
	}
	cl, err := kgo.NewClient(s.r.cfg.Client...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	in, err := s.r.look(ctx, kadm.NewClient(cl), slices.Collect(maps.Keys(parts)))
	if err != nil {
		return nil, err
	}
	out := map[string]map[int32]kgo.Offset{}
	var fresh []*kgo.Record
	for topic, offsets := range fetched {
		out[topic] = map[int32]kgo.Offset{}
		for p, o := range offsets {
			at, known, err := in.at(topic, p, o.EpochOffset().Offset)
			if err != nil {
				return nil, err
			}
			if o.EpochOffset().Offset != at { // else it bears the epoch that tells a log that has lost its end
				o = kgo.NewOffset().At(at)
			}
			out[topic][p] = o
			if !known {
				fresh = append(fresh, positionRecord{topic, idOf(in.topics[topic]), at}.record(s.r.p.Name, p))
			}
		}
	}
	if err := record(ctx, s.r.cfg.Client, fresh...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic := range out {
		s.ids[topic] = idOf(in.topics[topic])
	}
	return out, nil
}

// record writes positions for who is in no transaction.
func record(ctx context.Context, client []kgo.Opt, recs ...*kgo.Record) error {
	if len(recs) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(append(client[:len(client):len(client)], kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("recording positions in %s: %w", recs[0].Topic, err)
	}
	return nil
}

// position is the record of how far a partition is read.
func (s *standing) position(topic string, partition int32, next int64) *kgo.Record {
	return positionRecord{topic, s.id(topic), next}.record(s.r.p.Name, partition)
}

// ofTopic begins the metadata of a group's offset, and says of which topic's life
// it is. Without it an offset may be of any.
const ofTopic = "topic-id:"

// marking makes the commits of ctx say of which topic they are.
func (s *standing) marking(ctx context.Context) context.Context {
	meta := func(topic string) *string {
		m := ofTopic + s.id(topic)
		return &m
	}
	ctx = kgo.PreCommitFnContext(ctx, func(q *kmsg.OffsetCommitRequest) error {
		for _, t := range q.Topics {
			for i := range t.Partitions {
				t.Partitions[i].Metadata = meta(t.Topic)
			}
		}
		return nil
	})
	return kgo.PreTxnCommitFnContext(ctx, func(q *kmsg.TxnOffsetCommitRequest) error {
		for _, t := range q.Topics {
			for i := range t.Partitions {
				t.Partitions[i].Metadata = meta(t.Topic)
			}
		}
		return nil
	})
}

// inputState is what the log, and what is remembered of it, say of a pipeline's
// inputs.
type inputState struct {
	pipeline    string
	topics      kadm.TopicDetails
	group       kadm.OffsetResponses
	have        map[Target]map[string]int64 // the next offset, by the topic's id
	first, ends kadm.ListedOffsets
}

// look reads all that the positions of these partitions depend on. Ends come
// last: an end is never older than the position that it is compared with.
func (r *PipelineInstance) look(ctx context.Context, adm *kadm.Client, parts []int32) (*inputState, error) {
	in := &inputState{pipeline: r.p.Name, have: map[Target]map[string]int64{}}
	names := r.cfg.Topology.topicsOf(r.types)
	var err error
	if in.topics, err = adm.ListTopics(ctx, names...); err == nil {
		err = in.topics.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("looking at its topics: %w", err)
	}
	if in.group, err = adm.FetchOffsets(ctx, r.p.Name); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("looking at its group's offsets: %w", err)
	}
	if err = readToEnd(ctx, r.cfg.Client, PositionsTopic(r.p.Name), parts, in.note); err != nil {
		return nil, fmt.Errorf("reading %s: %w", PositionsTopic(r.p.Name), err)
	}
	if in.first, err = adm.ListStartOffsets(ctx, names...); err == nil {
		err = in.first.Error()
	}
	if err == nil {
		if in.ends, err = adm.ListEndOffsets(ctx, names...); err == nil {
			err = in.ends.Error()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the log's beginnings and ends: %w", err)
	}
	return in, nil
}

// note takes a record of the positions topic. Positions only rise: an owner that
// was cut off may have written after the one that came behind it.
func (in *inputState) note(rec *kgo.Record) {
	var v positionRecord
	if json.Unmarshal(rec.Value, &v) != nil || v.TopicID == "" {
		return // not ours
	}
	at := Target{v.Topic, rec.Partition}
	if in.have[at] == nil {
		in.have[at] = map[string]int64{}
	}
	in.have[at][v.TopicID] = max(in.have[at][v.TopicID], v.Next)
}

// at is where a partition is read from. kept says that the place is remembered as
// it is. group is the group's offset, or negative if it has none.
func (in *inputState) at(topic string, partition int32, group int64) (next int64, kept bool, err error) {
	id, groupID := idOf(in.topics[topic]), ""
	if c, ok := in.group.Lookup(topic, partition); ok {
		groupID, _ = strings.CutPrefix(c.Metadata, ofTopic)
		if groupID == c.Metadata {
			groupID = "" // it does not tell
		}
	}
	lives := in.have[Target{topic, partition}]
	next, kept = lives[id]
	switch {
	case kept && groupID == id: // a transaction may be ahead of its mark
		next = max(next, group)
	case kept:
	case len(lives) > 0, group >= 0 && groupID != "" && groupID != id:
		return 0, false, in.halt(topic, partition, "the topic was deleted and made again: where the pipeline stood means nothing in it, and what of the old one it had not read is lost")
	case group >= 0: // of a version that kept its positions in the group only
		next = group
	}
	first, _ := in.first.Lookup(topic, partition)
	end, _ := in.ends.Lookup(topic, partition)
	switch {
	case next < first.Offset && !kept && group < 0:
		err = in.halt(topic, partition, fmt.Sprintf("it has no position there, and would begin with the first record, but those before offset %d are deleted", first.Offset))
	case next < first.Offset:
		err = in.halt(topic, partition, fmt.Sprintf("it has read up to offset %d, and the records from there to %d are deleted", next, first.Offset-1))
	case next > end.Offset:
		err = in.halt(topic, partition, fmt.Sprintf("it has read up to offset %d, but the log ends at %d: the log has lost its end", next, end.Offset))
	}
	return next, kept, err
}

func (in *inputState) halt(topic string, partition int32, what string) error {
	return &HaltError{Lane: Lane(fmt.Sprintf("%s/%s/%d", in.pipeline, topic, partition)), What: what,
		Cure: fmt.Sprintf("Restore the topic, or call streams.AcceptLog(ctx, cfg, %q) while the pipeline is stopped, to go on with what there is.", in.pipeline)}
}

// AcceptLog lets a pipeline that stopped at a hole in its input go on with the
// log as it is: where its position is of no use any more it will begin with the
// first record that there is, elsewhere where it was. No instance of it may run.
// It tells what was accepted, for the record.
func AcceptLog(ctx context.Context, cfg Config, pipeline string) (accepted []error, err error) {
	r, err := NewPipelineInstance(cfg, pipeline)
	if err != nil {
		return nil, err
	}
	if err = r.prepare(ctx); err != nil {
		return nil, err
	}
	err = withAdmin(r.cfg.Client, func(adm *kadm.Client) error {
		accepted, err = r.accept(ctx, adm)
		return err
	})
	return accepted, err
}

func (r *PipelineInstance) accept(ctx context.Context, adm *kadm.Client) (accepted []error, err error) {
	parts := make([]int32, r.cfg.Partitions)
	for p := range parts {
		parts[p] = int32(p)
	}
	in, err := r.look(ctx, adm, parts)
	if err != nil {
		return nil, err
	}
	var recs []*kgo.Record
	gone := kadm.TopicsSet{}
	for topic, d := range in.topics {
		for _, p := range parts {
			group := int64(-1)
			if c, ok := in.group.Lookup(topic, p); ok {
				group = c.At
				gone.Add(topic, p)
			}
			next, _, err := in.at(topic, p, group)
			if err != nil {
				first, _ := in.first.Lookup(topic, p)
				next, accepted = first.Offset, append(accepted, err)
			}
			recs = append(recs, positionRecord{topic, idOf(d), next}.record(r.p.Name, p))
		}
	}
	// The group's first: what it says counts beside a position.
	if len(gone) > 0 {
		rs, err := adm.DeleteOffsets(ctx, r.p.Name, gone)
		if err == nil {
			err = rs.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("offsets of group %s not deleted; does an instance of the pipeline still run? %w", r.p.Name, err)
		}
	}
	return accepted, record(ctx, r.cfg.Client, recs...)
}

// readToEnd reads partitions of a topic up to their ends as they are now, and no
// further than transactions that are under way let it.
func readToEnd(ctx context.Context, client []kgo.Opt, topic string, parts []int32, each func(*kgo.Record)) error {
	from := map[int32]kgo.Offset{}
	cl, err := kgo.NewClient(append(client[:len(client):len(client)], kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	first, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := adm.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, first.Error(), ends.Error()); err != nil {
		return err
	}
	for _, p := range parts {
		a, _ := first.Lookup(topic, p)
		if b, ok := ends.Lookup(topic, p); !ok {
			return fmt.Errorf("%s/%d: %w", topic, p, kerr.UnknownTopicOrPartition)
		} else if a.Offset < b.Offset {
			from[p] = kgo.NewOffset().AtStart()
		}
	}
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: from})
	for len(from) > 0 {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return err
		}
		f.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				each(r)
			}
			if end, _ := ends.Lookup(topic, r.Partition); r.Offset+1 >= end.Offset {
				delete(from, r.Partition)
			}
		})
	}
	return nil
}
