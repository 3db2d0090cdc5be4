package streams

import (
	"context"
	"fmt"
	"math"
	"time"
)

// bug names a mistake that the runtime must not make. Builds with the tag
// weirbugs make the one that the environment's WEIR_BUG names; in all others
// the compiler removes the places.
type bug string

const (
	bugNoDedup         bug = "no-dedup"          // a repeated record is decided about again
	bugDedupByLane     bug = "dedup-by-lane"     // repeats are told by the lane alone, whatever the topic
	bugNoExternalDedup bug = "no-external-dedup" // an event from outside is taken as often as it comes
	bugCompensateAgain bug = "compensate-again"  // repeats are told only within a life of the lane
	bugGapIgnored      bug = "gap-ignored"       // a record is lost, and nobody minds the hole
	bugNoCAS           bug = "no-cas"            // who was fenced takes the cursor as it is, and goes on
	bugLateCommit      bug = "late-commit"       // a doubtful commit is made again, without looking whether it was done
	bugOffsetsFirst    bug = "offsets-first"     // the cursor is committed before what it guards
	bugStateKept       bug = "state-kept"        // states outlive the life that they were decided in
	bugSnapshotAhead   bug = "snapshot-ahead"    // a private event is in the snapshot and not in the store
	bugParkedOvertaken bug = "parked-overtaken"  // what comes after a parked input does not wait for it
	bugClockBack       bug = "clock-back"        // the lane's clock follows the machine's back
	bugClockBelieved   bug = "clock-believed"    // a machine's clock is believed, wherever it jumps to
	bugPublishFirst    bug = "publish-first"     // events are published before they are stored
	bugReorder         bug = "reordered-publish" // a batch's events are published in another order
	bugLosePublished   bug = "lost-publish"      // a record that failed is taken as sent
	bugMarkWithHole    bug = "mark-with-hole"    // the mark covers what is with the producer, acknowledged or not
	bugTimerLost       bug = "timer-lost"        // a lane that starts again forgets the timers that were set
	bugTimerEarly      bug = "timer-early"       // due timers do not wait for the inputs before them
	bugBarrierLate     bug = "barrier-late"      // due timers wait for the inputs of before, by the clock of when that is known
	bugTimerKept       bug = "timer-kept"        // a cancelled timer stays
	bugKeyPerAttempt   bug = "key-per-attempt"   // each attempt at an effect has its own key
	bugIntentLost      bug = "intent-lost"       // an intent is gone from the store once its call may start
	bugOutcomeTwice    bug = "outcome-twice"     // an intent stays in the store when its outcome is decided
	bugCommandAgain    bug = "command-again"     // a repeated command is decided about again
	bugReplyLost       bug = "reply-lost"        // a command's reply is sent and not stored
	bugOldCopyTaken    bug = "old-copy-taken"    // nobody minds that the store has become an older copy of itself
	bugLoseRelease     bug = "lost-release"      // a compensation is not emitted
	bugLoseVoid        bug = "lost-void"         // a compensating effect is not asked for
)

// What follows is the longer bugs' work. Nothing of it is in a build without them.

// leaky leaves out of a transaction what a bug forgets to store; memory knows
// it until the lane's life ends.
func leaky(tx *Tx) *Tx {
	less := tx
	if planted(bugIntentLost) || planted(bugOutcomeTwice) || planted(bugReplyLost) {
		c := *tx
		less = &c
	}
	if planted(bugIntentLost) {
		less.Effects = nil
	}
	if planted(bugOutcomeTwice) {
		less.Done = nil
	}
	if planted(bugReplyLost) {
		less.Replies = nil
	}
	return less
}

// adopt takes over the stored cursor, whoever moved it, but for where the
// inputs were read to.
func (l *lane) adopt(ctx context.Context) error {
	c, err := l.i.store.Cursor(ctx, l.o.part)
	if err != nil {
		return fmt.Errorf("cursor of lane %s: %w", l.name, err)
	}
	if c.Epoch == l.cur.Epoch && planted(bugNoCAS) {
		return nil // nobody else was there
	}
	l.cur.Epoch, l.cur.Rev, l.cur.LastSeq, l.cur.Sent = c.Epoch, c.Rev, max(c.LastSeq, l.cur.LastSeq), c.Sent
	l.states = newStateCache(l.i.cfg.StateCache)
	l.parked, l.nParked = map[StreamID]int{}, 0
	return l.loadParked(ctx)
}

// stepAgain decides a batch again whose commit failed, or seems to have.
func (l *lane) stepAgain(ctx context.Context, b *batch, why error) error {
	if !sleep(ctx, 100*time.Millisecond) {
		return why
	}
	if err := l.adopt(ctx); err != nil {
		return err
	}
	again := l.newBatch()
	again.inputs, again.taken, again.unpark = b.inputs, b.taken, b.unpark
	return l.step(ctx, again)
}

// keepState takes a state from the life before, if that had it.
func (l *lane) keepState(id StreamID, e *entry) {
	if l.o.kept == nil {
		return
	}
	if old := l.o.kept.get(id); old != nil && old.value != nil {
		e.value = old.value
		l.o.kept.drop(id)
	}
}

// forgetTimers cancels all that are set.
func (l *lane) forgetTimers(ctx context.Context) error {
	rows, err := l.i.store.Timers(ctx, l.o.part, time.Unix(math.MaxInt32, 0), math.MaxInt32)
	if err != nil || len(rows) == 0 {
		return err
	}
	tx := &Tx{Cursor: l.cur}
	for _, t := range rows {
		tx.Cancel = append(tx.Cancel, TimerKey{t.Stream, t.Name})
	}
	if err := l.i.store.Commit(ctx, l.o.part, tx); err != nil {
		return err
	}
	l.cur.Rev++
	return nil
}
