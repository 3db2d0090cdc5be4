package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/streams"
)

// closeTime bounds how long Close waits for a broker that does not answer.
const closeTime = 3 * time.Second

// queue is a claimed lane's subscription, through any number of channels.
type queue struct {
	c     *Commands
	name  string
	epoch int64
	in    chan *streams.CommandRequest
	ctx   context.Context // ends when the queue is closed, or the port
	stop  context.CancelFunc
	done  chan struct{}
	state state
}

// Serve subscribes to a lane's queue, and makes the queue if it is not there.
// The claim's epoch is the consumer's priority: a zombie that still subscribes
// gets nothing while its successor takes what comes.
func (c *Commands) Serve(service string, lane int32, epoch int64) *streams.CommandQueue {
	q := &queue{c: c, name: QueueName(c.prefix, service, lane), epoch: epoch, in: make(chan *streams.CommandRequest),
		done: make(chan struct{})}
	q.state.set(errNotYet)
	q.ctx, q.stop = context.WithCancel(c.ctx)
	c.wg.Go(q.run)
	return &streams.CommandQueue{In: q.in, Close: q.close, Err: q.state.get}
}

func (q *queue) close() {
	q.stop()
	select {
	case <-q.done:
	case <-time.After(closeTime): // the channel ends with its connection
	}
}

func (q *queue) run() {
	defer close(q.done)
	defer q.stop()
	ctx := q.ctx
	for failures := 0; ctx.Err() == nil; failures++ {
		s, err := q.open(ctx)
		if err == nil {
			failures = 0
			q.state.set(nil)
			err = s.run(ctx)
			_ = s.ch.Close() // it may have ended without its connection; what it held comes again
		}
		if ctx.Err() == nil {
			q.state.set(fmt.Errorf("no commands from %s: %w", q.name, err))
			if failures == 0 {
				q.c.log.Warn("no commands from the queue now, trying again", "queue", q.name, "error", err)
			}
			select {
			case <-time.After(backoff(failures)):
			case <-ctx.Done():
			}
		}
	}
}

// session is one channel's life. Its deliveries can be acknowledged on it only.
type session struct {
	q          *queue
	ch         *amqp.Channel
	tag        string // of the consumer
	deliveries <-chan amqp.Delivery
	closed     chan *amqp.Error
	replies    chan reply // as many as can be under way: an answer never waits
}

type reply struct {
	to amqp.Delivery
	streams.CommandReply
}

func (q *queue) open(ctx context.Context) (*session, error) {
	ch, err := q.c.serves.channel(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{q: q, ch: ch, tag: fmt.Sprintf("%s epoch %d", q.name, q.epoch), closed: ch.NotifyClose(make(chan *amqp.Error, 1)),
		replies: make(chan reply, streams.QueueDepth)}
	if err = q.c.declare(ch, q.name); err == nil {
		err = ch.Qos(streams.QueueDepth, 0, false)
	}
	if err == nil {
		s.deliveries, err = ch.Consume(q.name, s.tag, false, false, false, false, amqp.Table{"x-priority": q.epoch})
	}
	if err != nil {
		return nil, errors.Join(err, ch.Close())
	}
	return s, nil
}

// run hands deliveries to the lane one by one and its answers to the broker.
func (s *session) run(ctx context.Context) error {
	var next *streams.CommandRequest // that the lane takes when it is ready
	for {
		deliveries, in := s.deliveries, s.q.in
		if next == nil {
			in = nil
		} else {
			deliveries = nil
		}
		select {
		case d, ok := <-deliveries:
			if !ok {
				return errors.New("RabbitMQ ended the subscription")
			}
			var err error
			if next, err = s.request(d); err != nil {
				return err
			}
		case in <- next:
			next = nil
		case r := <-s.replies:
			if err := s.answer(&r); err != nil {
				return err
			}
		case err := <-s.closed:
			if err == nil {
				return errors.New("the channel to RabbitMQ was closed")
			}
			return err
		case <-ctx.Done():
			return s.end()
		}
	}
}

// request is a delivery as the lane takes it; nil for one that is no command,
// which goes to the dead ones.
func (s *session) request(d amqp.Delivery) (*streams.CommandRequest, error) {
	cmd, err := readCommand(&d)
	if err != nil {
		s.q.c.log.Warn("not a command, see the queue of the dead ones", "queue", s.q.name, "message", d.MessageId, "error", err)
		return nil, d.Reject(false)
	}
	return &streams.CommandRequest{Command: cmd, Reply: func(r streams.CommandReply) { s.replies <- reply{d, r} }}, nil
}

// answer publishes the answer before it acknowledges: whatever dies in between,
// the command is delivered again, and answered from the store.
func (s *session) answer(r *reply) error {
	if err := s.ch.PublishWithContext(context.Background(), "", r.to.ReplyTo, false, false, replyMessage(r.to.CorrelationId, &r.CommandReply)); err != nil {
		return err
	}
	return r.to.Ack(false)
}

// end gives the queue back: the answers that were given go out, and what was
// not answered is delivered to the next owner.
func (s *session) end() error {
	err := s.ch.Cancel(s.tag, false)
	for {
		select {
		case r := <-s.replies:
			err = errors.Join(err, s.answer(&r))
			continue
		default:
		}
		return err
	}
}
