package streams

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// publisher hands a lane's stored records to Kafka in order. One batch is in
// flight at a time: a record that fails must not be overtaken by a later one
// of the same lane, or consumers would see a hole. Nothing here gives up by
// itself; a failed produce ends the lane's life, and the next one publishes
// again from the mark.
type publisher struct {
	client *kgo.Client
	mark   atomic.Int64 // every sequence at or below it is acknowledged
	failed chan error   // capacity 1: the first failure
	last   chan struct{}
	// told of every record that is handed to the client, if anybody listens
	sending func(*kgo.Record) (done func(error))
}

func newPublisher(cl *kgo.Client, mark int64) *publisher {
	p := &publisher{client: cl, failed: make(chan error, 1), last: make(chan struct{})}
	p.mark.Store(mark)
	close(p.last)
	return p
}

// publish waits for the batch before, then sends this one and returns. half is
// called when half of the records are with the producer.
func (p *publisher) publish(ctx context.Context, recs []*kgo.Record, lastSeq int64, half func() error) error {
	if len(recs) == 0 {
		return nil
	}
	if err := p.wait(ctx); err != nil {
		return err
	}
	acked := make(chan struct{})
	var left atomic.Int64
	left.Store(int64(len(recs)))
	done := func(r *kgo.Record, err error) {
		if err != nil {
			select {
			case p.failed <- fmt.Errorf("producing to %s/%d failed: %w", r.Topic, r.Partition, err):
			default:
			}
			return // the mark stays below it, and acked stays open
		}
		if left.Add(-1) == 0 {
			p.mark.Store(lastSeq)
			close(acked)
		}
	}
	p.last = acked
	for i, r := range recs {
		if i == len(recs)/2 {
			if err := half(); err != nil {
				return err
			}
		}
		// Never a context that can end: a cancelled record is a hole.
		p.client.Produce(context.Background(), r, p.heard(r, done))
	}
	return nil
}

// heard tells who listens of a record's end, beside done.
func (p *publisher) heard(r *kgo.Record, done func(*kgo.Record, error)) func(*kgo.Record, error) {
	if p.sending == nil {
		return done
	}
	sent := p.sending(r)
	if sent == nil {
		return done
	}
	return func(r *kgo.Record, err error) {
		sent(err)
		done(r, err)
	}
}

// wait returns when everything sent is acknowledged.
func (p *publisher) wait(ctx context.Context) error {
	select {
	case <-p.last:
		return nil
	default:
	}
	select {
	case <-p.last:
		return nil
	case err := <-p.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// idle tells whether everything sent is acknowledged.
func (p *publisher) idle() bool {
	select {
	case <-p.last:
		return true
	default:
		return false
	}
}

// republish sends the outbox above the mark again; consumers skip what they have.
func (l *lane) republish(ctx context.Context) error {
	page := l.cfg.MaxBatch
	for after := l.cur.Published; ; {
		var recs []*kgo.Record
		from := after
		err := l.store.Outbox(ctx, l.part, after, page, func(e StoredEvent) error {
			if after = e.Seq; e.Topic == "" {
				return nil // private: it never travels
			}
			r, err := e.KafkaRecord()
			if err == nil && len(recs) == 0 {
				err = l.waitsSince(r)
			}
			if err != nil {
				return l.halt(err.Error(), "Restore the store from a copy.")
			}
			recs = append(recs, r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("outbox of lane %s: %w", l.name, err)
		}
		if after == from {
			return nil
		}
		if err := l.pub.publish(ctx, recs, after, func() error { return nil }); err != nil {
			return err
		}
	}
}

// waitsSince takes an event of an earlier life as the oldest unpublished one.
func (l *lane) waitsSince(r *kgo.Record) error {
	env, err := ReadEnvelope(r)
	l.storedAt = env.Time
	return err
}
