package streamtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
)

// reap takes members off the groups that the broker has forgotten to expire.
// kfake starts a member's session when it has answered its JoinGroup, and not
// at all if the member is gone by then: a real broker expires it.
func (w *World) reap(ctx context.Context) {
	for sleepFor(ctx, 4*time.Second) {
		for _, svc := range w.Topology.Services {
			info := w.Broker.GroupInfo(svc.Name)
			if info == nil {
				continue
			}
			for _, m := range info.Members {
				if w.silent(m.MemberID) > 25*time.Second {
					w.expire(ctx, svc.Name, m.MemberID)
				}
			}
		}
	}
}

// silent is for how long a member has asked nothing.
func (w *World) silent(member string) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, ok := w.seen[member]
	if !ok {
		last = time.Now()
		w.seen[member] = last
	}
	return time.Since(last)
}

func (w *World) expire(ctx context.Context, group, member string) {
	r := kmsg.NewPtrLeaveGroupRequest()
	r.Group = group
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	r.Members = append(r.Members, m)
	_, err := r.RequestWith(ctx, w.client)
	w.Note("the broker expires %s of group %s (%v)", member, group, err)
}

// observe notes who speaks in the groups.
func (w *World) observe(q kmsg.Request) {
	var member string
	switch q := q.(type) {
	case *kmsg.JoinGroupRequest:
		member = q.MemberID
	case *kmsg.SyncGroupRequest:
		member = q.MemberID
	case *kmsg.HeartbeatRequest:
		member = q.MemberID
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[member] = time.Now()
}

func sleepFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// longestWait bounds how long a run waits for timers to fall due. Those beyond are left
// alone.
const longestWait = 12 * time.Hour

// rests tells a timer that a run does not wait for. One beyond the longest is a mistake.
func (w *World) rests(due time.Time) bool {
	ahead, skew := time.Until(due), 2*w.schedule.Skew
	return ahead > longestWait+skew && ahead <= w.sim.Longest+skew
}

// settle waits until nothing moves any more; for as long as the simulation's
// patience after the last trouble, or after the last timer that fell due.
func (w *World) settle(parkedToo bool) {
	time.Sleep(3 * time.Second) // a zombie that just thawed has something to say yet
	end := time.Now().Add(w.sim.Patience)
	for {
		why, due := w.unsettled(parkedToo)
		if len(why) == 0 {
			return
		}
		if ahead := time.Until(due); ahead > w.sim.Longest+2*w.schedule.Skew {
			w.Violate("a timer is set for %s from now: its lane's clock has run away", ahead.Round(time.Second))
			return
		}
		if !due.IsZero() {
			if late := due.Add(2*w.schedule.Skew + w.sim.Patience); late.After(end) {
				end = late
			}
		}
		if time.Now().After(end) {
			w.Violate("not settled %s after the last trouble: %s", w.sim.Patience, strings.Join(why, "; "))
			return
		}
		time.Sleep(time.Second)
	}
}

// unsettled lists what still moves or waits, and when the next timer falls due.
func (w *World) unsettled(parkedToo bool) (why []string, due time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var topics []string
	for _, t := range w.Topology.Topics() {
		topics = append(topics, t.Name)
	}
	ends, err := kadm.NewClient(w.client).ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return []string{err.Error()}, due
	}
	for _, svc := range w.Topology.Services {
		l := looker{w: w, ctx: ctx, service: svc.Name, store: w.look(svc.Name), ends: ends, parkedToo: parkedToo}
		for lane := range w.Partitions {
			l.lane(lane)
		}
		why = append(why, l.why...)
		if !l.due.IsZero() && (due.IsZero() || l.due.Before(due)) {
			due = l.due
		}
	}
	return why, due
}

// looker looks into a service's store.
type looker struct {
	w         *World
	ctx       context.Context
	service   string
	store     streams.Store
	ends      kadm.ListedOffsets
	parkedToo bool
	why       []string
	due       time.Time
}

func (l *looker) say(lane int32, format string, args ...any) {
	l.why = append(l.why, fmt.Sprintf("%s/%d ", l.service, lane)+fmt.Sprintf(format, args...))
}

func (l *looker) lane(lane int32) {
	c, err := l.store.Cursor(l.ctx, lane)
	if err != nil {
		l.say(lane, "cannot be read: %v", err)
		return
	}
	for t, p := range c.Inputs {
		if end, _ := l.ends.Lookup(t, lane); p.Offset < end.Offset {
			l.say(lane, "has read %s up to %d of %d", t, p.Offset, end.Offset)
		}
	}
	if c.Published < c.LastSeq {
		l.say(lane, "has published %d of %d", c.Published, c.LastSeq)
	}
	if !l.parkedToo {
		return
	}
	if rows, err := l.store.Parked(l.ctx, lane, streams.StreamID{}, 0, 1); err != nil || len(rows) > 0 {
		l.say(lane, "has parked inputs %v", err)
	}
	if rows, err := l.store.Effects(l.ctx, lane, 0, 1); err != nil || len(rows) > 0 {
		l.say(lane, "has pending effects %v", err)
	}
	due, ok, err := l.store.NextTimer(l.ctx, lane)
	ok = ok && !l.w.rests(due)
	if err != nil || ok {
		l.say(lane, "has a timer set for %s %v", due.Format(time.TimeOnly), err)
		if ok && (l.due.IsZero() || due.Before(l.due)) {
			l.due = due
		}
	}
}

// unpark plays the person who looks after parked keys: a retry first, and if
// that fails again, the input is dropped.
func (w *World) unpark() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for _, svc := range w.Topology.Services {
		for lane := range w.Partitions {
			for ctx.Err() == nil {
				rows, err := w.look(svc.Name).Parked(ctx, lane, streams.StreamID{}, 0, 1)
				if err == nil && len(rows) == 0 {
					break
				}
				if err != nil || !w.unparkOne(ctx, svc.Name, rows[0].Stream) {
					time.Sleep(time.Second)
				}
			}
		}
	}
	if ctx.Err() != nil {
		w.Violate("parked keys could not be retried or dropped")
	}
}

func (w *World) unparkOne(ctx context.Context, service string, stream streams.StreamID) bool {
	for _, n := range w.living(service) {
		left, err := n.RetryParked(ctx, stream)
		if err == nil && left > 0 {
			left, err = n.DropParked(ctx, stream)
		}
		if err == nil {
			w.Note("%s %q retried and dropped, %d left", stream.Decider, stream.Key, left)
			return true
		}
	}
	return false
}
