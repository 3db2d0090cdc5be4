package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

// Run works until ctx ends; then what is under way is passed on, and the group
// left. It returns an error if it cannot start, and if it meets what only a person
// can mend: a *HaltError names the hole, which AcceptLog passes over, and a
// *NewerVersionError the type.
func (r *PipelineInstance) Run(ctx context.Context) error {
	err := r.prepare(ctx)
	if err == nil {
		err = shortenSessions(ctx, r.cfg, r.p.Name)
	}
	if err == nil {
		r.opts = r.membershipOpts()
		err = r.run(ctx)
	}
	if ctx.Err() != nil {
		err = nil // stopped, if need be before it had begun
	}
	r.tell(cmp.Or(err, errStoppedPipeline))
	if err != nil {
		return fmt.Errorf("pipeline %s: %w", r.p.Name, err)
	}
	return nil
}

func (r *PipelineInstance) membershipOpts() []kgo.Opt {
	opts := slices.Concat(r.cfg.Client, r.cfg.groupProtocol(), []kgo.Opt{
		kgo.ClientID(r.p.Name), kgo.ConsumerGroup(r.p.Name), kgo.ConsumeTopics(r.cfg.Topology.topicsOf(r.types)...), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), // else a new group begins at the end, and what was there is skipped
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1),
	})
	if r.p.Transactional {
		// One id for all of its memberships: the next ends what the one before
		// left open, which would hold up readers. Fencing is by group generation.
		opts = append(opts, kgo.TransactionalID(fmt.Sprintf("%s-%d", r.p.Name, r.cfg.Now().UnixNano())),
			kgo.TransactionTimeout(30*time.Second))
	}
	return opts
}

var (
	errNotJoined       = errors.New("it has not joined its group yet")
	errLooking         = errors.New("it looks where to read from")
	errStoppedPipeline = errors.New("it is stopped")
)

// tell notes why nothing is passed on now, or that all is well.
func (r *PipelineInstance) tell(trouble error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// Ready tells why the instance passes nothing on now. It is nil while the instance
// is in its group, also where that has no partition left to give it.
func (r *PipelineInstance) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == nil {
		return nil
	}
	return fmt.Errorf("pipeline %s: %w", r.p.Name, r.trouble)
}

// run is a member of the group again and again, with backoff: brokers and
// sessions come and go, and nobody would start the pipeline again.
func (r *PipelineInstance) run(ctx context.Context) error {
	for failures := 0; ; failures++ {
		began := r.cfg.Now()
		err := r.membership(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return err
		}
		r.tell(err)
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
func (r *PipelineInstance) membership(ctx context.Context) error {
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
		r.tell(err)
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
func (r *PipelineInstance) unread(err error) error {
	var loss *kgo.ErrDataLoss
	if errors.As(err, &loss) {
		in := inputState{pipeline: r.p.Name}
		return in.halt(loss.Topic, loss.Partition, fmt.Sprintf("it has read up to offset %d, and the log has lost what was behind %d", loss.ConsumedTo, loss.ResetTo))
	}
	return err
}

var errAborted = errors.New("transaction aborted, its input is read again")

// passed tells the hooks how it ended that batches were passed on.
func (r *PipelineInstance) passed(seen []passing, began time.Time, err error) {
	took := r.cfg.Now().Sub(began)
	for i := range seen {
		seen[i].Commit = took
		if seen[i].tellHops(err); err == nil {
			r.hooks.committed(seen[i].BatchInfo)
		}
	}
}

func (r *PipelineInstance) join(s *standing) (member, error) {
	opts := append(r.opts[:len(r.opts):len(r.opts)], kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, added map[string][]int32) {
			if len(added) == 0 { // else it has to learn first where to read from
				r.tell(nil)
			}
		}))
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
