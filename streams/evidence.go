package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A store may become an older copy of itself: a replica that lagged is promoted,
// a backup is restored. It would hand out sequences again that consumers have
// seen, and they would skip the events for ever. Three witnesses know better:
// what the lane's owner has seen itself, the last records that the lane has
// published, and what owners have written to the control topic, which is kept
// for ever. None of them goes down with the store.

// seen is how far a lane's owner has seen its store.
type seen struct {
	incarnation      string
	epoch, rev, last int64
}

// saw notes what is stored. Commits that may not be done are not noted.
func (o *owner) saw(c *Cursor) {
	o.seen = seen{c.Incarnation, c.Epoch, c.Rev, c.LastSeq}
}

// proves reports a cursor that cannot follow what the owner has seen before.
func (o *owner) proves(c *Cursor) error {
	s := o.seen
	switch {
	case s.incarnation == "": // the first look
	case c.Incarnation != s.incarnation:
		return o.oldStore(c, fmt.Sprintf("its store is another one now: of incarnation %s, and was %s", c.Incarnation, s.incarnation))
	case c.Epoch < s.epoch, c.Epoch == s.epoch && c.Rev < s.rev, c.LastSeq < s.last:
		return o.oldStore(c, fmt.Sprintf("its store is at epoch %d, rev %d and sequence %d, and was at %d, %d and %d before: "+
			"it has become an older copy of itself",
			c.Epoch, c.Rev, c.LastSeq, s.epoch, s.rev, s.last))
	}
	return nil
}

func (o *owner) oldStore(c *Cursor, what string) error {
	return &HaltError{Lane: NewLane(o.i.plan.service, o.part, c.Incarnation), What: what,
		Cure: fmt.Sprintf("Restore the newest copy of the store. If there is none, accept what is lost: %s.", storeCommand("renew", o.i.plan.service))}
}

// checkStore compares a claimed cursor with what others know of the lane. It is
// done once for each claim; after that the owner's own eyes are the best.
func (l *lane) checkStore(ctx context.Context) error {
	if l.owner.checked {
		return nil
	}
	have, err := readControl(ctx, l.cfg.Client)
	if err != nil {
		return fmt.Errorf("reading %s for lane %s: %w", ControlTopic, l.name, err)
	}
	if e, ok := have[laneUnit(l.service, l.part)]; ok && e.Incarnation == l.cur.Incarnation {
		if e.Epoch > l.cur.Epoch || e.Rev > l.cur.Rev || e.Last > l.cur.LastSeq {
			return l.owner.oldStore(l.cur, fmt.Sprintf("its store has handed out %d sequences in %d commits and %d epochs, "+
				"but there were %d in %d and %d already: the store is an old copy",
				l.cur.LastSeq, l.cur.Rev, l.cur.Epoch, e.Last, e.Rev, e.Epoch))
		}
	}
	last, err := l.lastPublished(ctx)
	if err != nil {
		return fmt.Errorf("the last records of lane %s: %w", l.name, err)
	}
	if last > l.cur.LastSeq {
		return l.owner.oldStore(l.cur, fmt.Sprintf("its store has handed out %d sequences, but number %d is on the log already: "+
			"the store is an old copy", l.cur.LastSeq, last))
	}
	l.owner.checked = true
	return nil
}

// proveEvery is how often a lane that commits nothing looks at its store.
const proveEvery = 5 * time.Second

// prove compares the store with what the lane has seen: one that is idle would
// not notice until its next commit, and answer from what it has in memory.
func (l *lane) prove(ctx context.Context) error {
	if time.Since(l.proven) < proveEvery {
		return nil
	}
	l.proven = time.Now()
	c, err := l.store.Cursor(ctx, l.part)
	if err != nil {
		return fmt.Errorf("cursor of lane %s: %w", l.name, err)
	}
	l.clock.heard(c.Now)
	if err := l.owner.proves(c); err != nil {
		return err
	}
	if c.Epoch != l.cur.Epoch || c.Rev != l.cur.Rev {
		return fmt.Errorf("cursor of lane %s: %w", l.name, ErrFenced)
	}
	if time.Since(l.looked) < lookEvery {
		return nil
	}
	l.looked = time.Now()
	last, err := l.lastPublished(ctx)
	if err != nil {
		return fmt.Errorf("the last records of lane %s: %w", l.name, err)
	}
	if last > c.LastSeq {
		return &HaltError{Lane: l.name,
			What: fmt.Sprintf("number %d of it is on the log, and it has written %d: somebody else writes in its name, "+
				"and readers take what it writes itself for repeats", last, c.LastSeq),
			Cure: fmt.Sprintf("Find who writes there, and let nobody (weir kafka plan). Then %s.", storeCommand("renew", l.service))}
	}
	return nil
}

// lookEvery is how often a lane looks for records in its name that it has not
// written.
const lookEvery = 30 * time.Second

// lastLooked is how many of the last records of each topic are looked at.
const lastLooked = 64

// lastPublished is the highest sequence of this lane among the last records in
// its own partition of the topics that its service writes. Nearly all of a
// lane's events are there: about keys of its deciders' own kind.
func (l *lane) lastPublished(ctx context.Context) (last int64, err error) {
	topics := append(l.plan.writes(), DeadTopic(l.service))
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	adm := kadm.NewClient(l.client)
	first, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	ends, err := adm.ListEndOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	from, left := map[string]map[int32]kgo.Offset{}, map[string]int64{}
	for _, t := range topics {
		begin, ok := first.Lookup(t, l.part)
		end, ok2 := ends.Lookup(t, l.part)
		if !ok || !ok2 || begin.Err != nil || end.Err != nil {
			return 0, fmt.Errorf("offsets of %s/%d: %w", t, l.part, errorOr(begin.Err, errorOr(end.Err, kerr.UnknownTopicOrPartition)))
		}
		if end.Offset > begin.Offset {
			from[t], left[t] = map[int32]kgo.Offset{l.part: kgo.NewOffset().At(max(begin.Offset, end.Offset-lastLooked))}, end.Offset
		}
	}
	if len(left) == 0 {
		return 0, nil
	}
	return l.highest(ctx, from, left)
}

// highest reads up to the ends in left, and finds the highest of the lane's sequences.
func (l *lane) highest(ctx context.Context, from map[string]map[int32]kgo.Offset, left map[string]int64) (last int64, err error) {
	if l.looker == nil {
		l.looker, err = kgo.NewClient(append(l.cfg.Client[:len(l.cfg.Client):len(l.cfg.Client)], kgo.KeepControlRecords(),
			kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxWait(100*time.Millisecond))...)
		if err != nil {
			return 0, err
		}
	}
	l.looker.AddConsumePartitions(from)
	defer l.lookAway(slices.Collect(maps.Keys(from)))
	for len(left) > 0 {
		f := l.looker.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return 0, err
		}
		f.EachRecord(func(r *kgo.Record) {
			if e, err := ReadEnvelope(r); err == nil && e.Lane == l.name {
				last = max(last, e.Seq)
			}
			if r.Offset+1 >= left[r.Topic] {
				delete(left, r.Topic)
			}
		})
	}
	return last, nil
}

// lookAway has the client that looks at the log read nothing until the next look.
func (l *lane) lookAway(topics []string) {
	gone := map[string][]int32{}
	for _, t := range topics {
		gone[t] = []int32{l.part}
	}
	l.looker.RemoveConsumePartitions(gone)
}

// laneUnit is a lane's key in the control topic.
func laneUnit(service string, lane int32) string {
	return lanePrefix + service + "/" + strconv.Itoa(int(lane))
}

const lanePrefix = "lane "

// Control tells how far a service's lanes have come, as their owners wrote it to
// the control topic: by lane, the last sequence handed out. It is some seconds
// old while a lane is at work, and exact after it has drained.
func Control(ctx context.Context, client []kgo.Opt, service string, lanes int32) (map[int32]int64, error) {
	have, err := readControl(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	out := map[int32]int64{}
	for p := range lanes {
		if c, ok := have[laneUnit(service, p)]; ok {
			out[p] = c.Last
		}
	}
	return out, nil
}

// witnessed is what an instance has written to the control topic.
type witnessed struct {
	seen
	at time.Time
}

// witnessAgain is after how long an owner writes what it wrote before: a zombie
// may have written older news over it.
const witnessAgain = 10 * time.Minute

// witness writes how far lanes are to the control topic, where it has risen.
func (i *Instance) witness(ctx context.Context, cl *kgo.Client, lanes []LaneStatus) error {
	var recs []*kgo.Record
	var told []func()
	for _, s := range lanes {
		now, was := s.stored, i.told[s.Lane]
		if now.incarnation == "" || now == was.seen && time.Since(was.at) < witnessAgain || now.epoch < was.epoch {
			continue
		}
		r, err := controlRecordOf(laneUnit(i.plan.service, s.Lane), controlRecord{Partitions: i.cfg.Partitions, Incarnation: now.incarnation,
			Epoch: now.epoch, Rev: now.rev, Last: now.last})
		if err != nil {
			return err
		}
		recs = append(recs, r)
		told = append(told, func() { i.told[s.Lane] = witnessed{now, time.Now()} })
	}
	if len(recs) == 0 {
		return nil
	}
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("writing to %s: %w", ControlTopic, err)
	}
	for _, f := range told {
		f()
	}
	return nil
}
