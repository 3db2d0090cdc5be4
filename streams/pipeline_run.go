package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a pipeline's membership in its group: a client, or a session of
// transactions.
type member interface {
	PollRecords(ctx context.Context, most int) kgo.Fetches
	AllowRebalance()
	CloseAllowingRebalance()
	// pass produces what the polled records became, and the positions behind them,
	// and moves the group's offsets too, for lag tools. After errAborted they are
	// polled again; after another error the membership is of no more use.
	pass(ctx context.Context, polled kgo.Fetches, out, positions []*kgo.Record) error
}

// run is a member of the group again and again, with backoff: brokers and
// sessions come and go, and nobody would start the pipeline again.
func (r *pipe) run(ctx context.Context) error {
	for failures := 0; ; failures++ {
		began := r.cfg.Now()
		err := r.membership(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return fmt.Errorf("pipeline %s: %w", r.p.Name, err)
		}
		if r.cfg.Now().Sub(began) > time.Minute {
			failures = 0
		}
		r.log.Warn("pipeline joins its group again", "error", err)
		sleep(ctx, backoff(failures, 100*time.Millisecond, 5*time.Second))
	}
}

// hopeless tells what stays as it is until a person has done something: a newer
// version of a type, and a hole in the input.
func hopeless(err error) bool {
	var newer *NewerVersionError
	var hole *HaltError
	return errors.As(err, &newer) || errors.As(err, &hole)
}

// membership works until something ends it. What was polled and not passed is
// polled by the next.
func (r *pipe) membership(ctx context.Context) error {
	polling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &standing{r: r, stop: stop, ids: map[string]string{}}
	m, err := r.join(s)
	if err != nil {
		return err
	}
	defer m.CloseAllowingRebalance()
	// What was begun when ctx ends has a while to end well.
	hard, kill := context.WithCancel(s.marking(context.WithoutCancel(ctx)))
	defer kill()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, kill) })()
	for aborted := 0; ; {
		f := m.PollRecords(polling, r.cfg.MaxBatch)
		if polling.Err() != nil {
			return context.Cause(polling)
		}
		if err := f.Err(); err != nil {
			return r.unread(err)
		}
		out, positions, seen, err := r.outputs(f, s)
		if err != nil {
			return err
		}
		began := r.cfg.Now()
		err = m.pass(hard, f, out, positions)
		r.passed(seen, began, err)
		if err != nil && !errors.Is(err, errAborted) {
			return err
		}
		m.AllowRebalance()
		if err == nil {
			aborted = 0
			continue
		}
		r.log.Warn(err.Error())
		sleep(ctx, backoff(aborted, 50*time.Millisecond, 5*time.Second))
		aborted++
	}
}

// unread says what a failed fetch means. Offsets out of range and unknown topic
// ids are left to the next membership, which compares its positions with the log.
func (r *pipe) unread(err error) error {
	var loss *kgo.ErrDataLoss
	if errors.As(err, &loss) {
		in := inputState{pipeline: r.p.Name}
		return in.halt(loss.Topic, loss.Partition, fmt.Sprintf("it has read up to offset %d, and the log has lost what was behind %d", loss.ConsumedTo, loss.ResetTo))
	}
	return err
}

var errAborted = errors.New("transaction aborted, its input is read again")

// passed tells the hooks how it ended that batches were passed on.
func (r *pipe) passed(seen []passing, began time.Time, err error) {
	took := r.cfg.Now().Sub(began)
	for i := range seen {
		seen[i].Commit = took
		if seen[i].tellHops(err); err == nil {
			r.hooks.committed(seen[i].BatchInfo)
		}
	}
}

func (r *pipe) join(s *standing) (member, error) {
	opts := append(r.opts[:len(r.opts):len(r.opts)], kgo.AdjustFetchOffsetsFn(s.adjust))
	if r.p.Transactional {
		s, err := kgo.NewGroupTransactSession(opts...)
		return transacting{s}, err
	}
	cl, err := kgo.NewClient(opts...)
	return repeating{cl}, err
}

// repeating produces at least once.
type repeating struct{ *kgo.Client }

func (m repeating) pass(ctx context.Context, polled kgo.Fetches, out, positions []*kgo.Record) error {
	if err := m.ProduceSync(ctx, out...).FirstErr(); err != nil {
		return err
	}
	kept := kgo.AbortingFirstErrPromise(m.Client)
	for _, p := range positions {
		m.Produce(ctx, p, kept.Promise())
	}
	committed := m.CommitRecords(ctx, polled.Records()...)
	if err := kept.Err(); err != nil {
		return fmt.Errorf("positions: %w", err)
	}
	if committed != nil {
		return fmt.Errorf("offsets: %w", committed)
	}
	return nil
}

// transacting produces, and moves positions and offsets, in one transaction.
type transacting struct{ *kgo.GroupTransactSession }

func (m transacting) pass(ctx context.Context, _ kgo.Fetches, out, positions []*kgo.Record) error {
	if err := m.Begin(); err != nil {
		return err
	}
	produced := m.ProduceSync(ctx, append(out, positions...)...).FirstErr()
	committed, err := m.End(ctx, kgo.TransactionEndTry(produced == nil))
	if err != nil {
		return fmt.Errorf("transaction: %w", errors.Join(produced, err))
	}
	if !committed {
		return errAborted
	}
	return nil
}
