package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// loss moves a halted lane's cursor over what it cannot have any more.
type loss func(ctx context.Context, adm *kadm.Client, c *Cursor) error

// lost halts a lane at records that its log does not have. A person may accept that.
func (l *lane) lost(what, cure string, f loss) error {
	cure += fmt.Sprintf("; or accept that it is lost: weir lane accept %s/%d.", l.service, l.part)
	return &HaltError{Lane: l.name, What: what, Cure: cure, loss: f}
}

// readFrom lets a lane go on with what a topic has.
func (l *lane) readFrom(topic string) loss {
	return func(ctx context.Context, adm *kadm.Client, c *Cursor) error {
		details, err := adm.ListTopics(ctx, topic)
		if err == nil {
			err = details.Error()
		}
		if err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
		first, err := adm.ListStartOffsets(ctx, topic)
		if err != nil {
			return fmt.Errorf("the beginning of %s: %w", topic, err)
		}
		o, ok := first.Lookup(topic, l.part)
		if !ok || o.Err != nil {
			return fmt.Errorf("the beginning of %s/%d: %w", topic, l.part, errorOr(o.Err, kerr.UnknownTopicOrPartition))
		}
		c.Inputs[topic] = Position{TopicID: details[topic].ID, Offset: o.Offset}
		return nil
	}
}

// AcceptLoss lets a halted lane of this instance go on without the records that it
// stands still for. What followed from them never happens.
func (i *Instance) AcceptLoss(ctx context.Context, lane int32) error {
	i.mu.Lock()
	o := i.lanes[lane]
	i.mu.Unlock()
	if o == nil {
		return ErrNotOwned
	}
	if s := o.status(); s.State != LaneHalted {
		return fmt.Errorf("lane %s/%d is not halted: there is nothing to accept", i.plan.service, lane)
	}
	reply := make(chan error, 1)
	select {
	case o.accepts <- reply:
		return <-reply
	case <-o.done:
		return ErrNotOwned
	case <-ctx.Done():
		return fmt.Errorf("lane %s/%d is not halted: %w", i.plan.service, lane, context.Cause(ctx))
	}
}

var errLossAccepted = errors.New("what was lost is accepted")

// haltedUntil waits, halted, until the ownership ends or a loss is accepted.
func (o *owner) haltedUntil(halt *HaltError) (accepted bool) {
	for {
		select {
		case <-o.soft.Done():
			return false
		case reply := <-o.accepts:
			err := o.accept(halt)
			reply <- err
			if err == nil {
				return true
			}
		}
	}
}

func (o *owner) accept(halt *HaltError) error {
	if halt.loss == nil {
		return fmt.Errorf("lane %s is not halted for something lost: %s. %s", halt.Lane, halt.What, halt.Cure)
	}
	c, err := o.i.store.Cursor(o.hard, o.part)
	if err == nil {
		err = o.proves(c)
	}
	if err == nil && c.Epoch != o.seen.epoch {
		err = ErrFenced
	}
	if err == nil {
		err = withAdmin(o.i.cfg.Client, func(adm *kadm.Client) error { return halt.loss(o.hard, adm, c) })
	}
	if err == nil {
		err = o.i.store.Commit(o.hard, o.part, &Tx{Cursor: c})
	}
	if err != nil {
		return fmt.Errorf("lane %s stays halted: %w", halt.Lane, err)
	}
	o.i.log.Warn("lost records accepted", "lane", o.part, "what", halt.What)
	return nil
}
