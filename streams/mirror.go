package streams

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// MirrorGroup is the consumer group that shows a service's cursors to foreign
// lag tools. Nobody consumes with it.
func MirrorGroup(service string) string { return service + ".cursors" }

const mirrorEvery = 2 * time.Second

// mirror copies the cursors to the mirror group, until ctx ends.
func (i *Instance) mirror(ctx context.Context, cl *kgo.Client) {
	for sleep(ctx, mirrorEvery) {
		if err := i.mirrorOnce(ctx, cl, i.Lanes()); err != nil && ctx.Err() == nil {
			i.log.Warn("cursors not mirrored for lag tools", "error", err)
		}
	}
}

// mirrorOnce copies cursors for others to see: offsets to the mirror group, which
// expire, and to the control topic how far the stores are, which never does.
func (i *Instance) mirrorOnce(ctx context.Context, cl *kgo.Client, lanes []LaneStatus) error {
	offs := kadm.Offsets{}
	for _, s := range lanes {
		for t, o := range s.Offsets {
			offs.AddOffset(t, s.Lane, o, -1)
		}
	}
	err := i.witness(ctx, cl, lanes)
	if len(offs) == 0 {
		return err
	}
	_, failed := kadm.NewClient(cl).CommitOffsets(ctx, MirrorGroup(i.plan.service), offs)
	return errors.Join(err, failed)
}
