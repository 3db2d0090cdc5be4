package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// MirrorGroup is the consumer group that shows a service's cursors to foreign
// lag tools. Nobody consumes with it.
func MirrorGroup(service string) string { return service + ".cursors" }

// mirror copies the cursors to the mirror group, until ctx ends.
func (i *Instance) mirror(ctx context.Context, cl *kgo.Client) {
	for sleep(ctx, 2*time.Second) {
		if err := i.mirrorOnce(ctx, cl, i.Lanes()); err != nil && ctx.Err() == nil {
			i.log.Warn("cursors not mirrored for lag tools", "error", err)
		}
	}
}

// mirrorOnce copies cursors. Beside its inputs a lane mirrors, as an offset of
// the lane topic, the last sequence that it has handed out: a store that has not
// come so far is an old copy, and would hand it out again.
func (i *Instance) mirrorOnce(ctx context.Context, cl *kgo.Client, lanes []LaneStatus) error {
	offs := kadm.Offsets{}
	for _, s := range lanes {
		for t, o := range s.Offsets {
			offs.AddOffset(t, s.Lane, o, -1)
		}
		if s.LastSeq > 0 {
			offs.Add(kadm.Offset{Topic: LaneTopic(i.plan.service), Partition: s.Lane, At: s.LastSeq, LeaderEpoch: -1, Metadata: i.info.Incarnation})
		}
	}
	if len(offs) == 0 {
		return nil
	}
	_, err := kadm.NewClient(cl).CommitOffsets(ctx, MirrorGroup(i.plan.service), offs)
	return err
}

// checkMirror compares the cursor with what was mirrored from it before. A store
// that has handed out fewer sequences than its mirror is an old copy: it would
// hand them out again, and consumers, who have seen them, would skip the events
// for ever. What another incarnation has mirrored says nothing.
func (l *lane) checkMirror(ctx context.Context) error {
	if l.o.mirrorChecked {
		return nil
	}
	seen, err := l.mirrored(ctx)
	if err != nil {
		return fmt.Errorf("mirrored cursor of lane %s: %w", l.name, err)
	}
	if seen > l.cur.LastSeq {
		return l.halt(fmt.Sprintf("its store has handed out %d sequences, but there were %d already: the store is an old copy", l.cur.LastSeq, seen),
			"Restore the newest copy of the store.")
	}
	l.o.mirrorChecked = true
	return nil
}

// mirrored asks which last sequence was mirrored of this lane and incarnation: 0
// if none was. It asks for the very partition, and takes no other answer: an
// answer that an error has emptied looks like that of a group without offsets.
func (l *lane) mirrored(ctx context.Context) (int64, error) {
	topic := kmsg.NewOffsetFetchRequestGroupTopic()
	topic.Topic, topic.Partitions = LaneTopic(l.i.plan.service), []int32{l.o.part}
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group, group.Topics = MirrorGroup(l.i.plan.service), append(group.Topics, topic)
	q := kmsg.NewPtrOffsetFetchRequest()
	q.Groups = append(q.Groups, group)
	r, err := q.RequestWith(ctx, l.client)
	if err != nil {
		return 0, err
	}
	for _, g := range r.Groups {
		err := kerr.ErrorForCode(g.ErrorCode)
		if errors.Is(err, kerr.GroupIDNotFound) { // it died before its first mirroring
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return 0, err
				}
				if p.Metadata != nil && *p.Metadata == l.cur.Incarnation {
					return p.Offset, nil
				}
				return 0, nil
			}
		}
	}
	return 0, errorOr(kerr.ErrorForCode(r.ErrorCode), errors.New("the broker's answer lacks the lane"))
}
