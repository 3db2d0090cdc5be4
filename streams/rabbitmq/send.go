package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/streams"
)

// directReplyTo is RabbitMQ's pseudo-queue: answers come on the channel that
// published the question.
const directReplyTo = "amq.rabbitmq.reply-to"

// maxCalls bounds the commands that wait for an answer, so that what the broker
// tells of them always fits the channels that it is told on.
const maxCalls = 1024

// maxShort bounds a text among AMQP's properties, in bytes. A longer one would
// cost the connection, and with it everybody's commands.
const maxShort = 255

var errClosed = errors.New("the commands' port is closed")

// call is a command on its way.
type call struct {
	ctx     context.Context
	queue   string
	cmd     streams.Command
	answers chan answered // buffered: never waited for
}

type answered struct {
	reply streams.CommandReply
	err   error
}

func (c *call) end(r streams.CommandReply, err error) { c.answers <- answered{r, err} }

// Send hands a command to a service's lane and waits for the reply.
func (c *Commands) Send(ctx context.Context, service string, lane int32, cmd streams.Command) (streams.CommandReply, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTTL)
	defer cancel()
	name := fmt.Sprintf("command %s to %s/%d", cmd.Name, service, lane)
	if len(cmd.ID) > maxShort || len(cmd.Name) > maxShort {
		return streams.CommandReply{}, fmt.Errorf("%s: its id or its name is longer than the %d bytes that AMQP carries: choose a shorter one", name, maxShort)
	}
	k := &call{ctx: ctx, queue: QueueName(c.prefix, service, lane), cmd: cmd, answers: make(chan answered, 1)}
	select {
	case c.calls <- k:
	case <-c.ctx.Done():
		return streams.CommandReply{}, fmt.Errorf("%s: %w", name, errClosed)
	default:
		return streams.CommandReply{}, fmt.Errorf("%s: %w", name, streams.ErrBusy)
	}
	select {
	case a := <-k.answers:
		if a.err != nil {
			return streams.CommandReply{}, fmt.Errorf("%s: %w", name, a.err)
		}
		return a.reply, nil
	case <-c.ctx.Done():
		return streams.CommandReply{}, fmt.Errorf("%s: %w", name, errClosed)
	case <-ctx.Done():
		return streams.CommandReply{}, fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
}

// send publishes commands on one channel after another, until Close.
func (c *Commands) send() {
	for failures := 0; c.ctx.Err() == nil; failures++ {
		s, err := c.newSender()
		if err == nil {
			failures = 0
			c.state.set(nil)
			err = s.run(c.ctx, c.calls)
			s.fail(err)
			_ = s.ch.Close() // it may have ended without its connection
		}
		if c.ctx.Err() == nil {
			c.state.set(fmt.Errorf("commands are not sent: %w", err))
			if failures == 0 {
				c.log.Warn("commands are not sent now, trying again", "error", err)
			}
			c.refuse(err, failures)
		}
	}
}

// refuse answers those who ask while there is no broker: they know how long
// they can wait.
func (c *Commands) refuse(err error, failures int) {
	ctx, cancel := context.WithTimeout(c.ctx, backoff(failures))
	defer cancel()
	for {
		select {
		case k := <-c.calls:
			k.end(streams.CommandReply{}, err)
		case <-ctx.Done():
			return
		}
	}
}

// sender is one life of the channel that commands go out on.
type sender struct {
	ch       *amqp.Channel
	calls    map[uint64]*call // that wait for an answer
	replies  <-chan amqp.Delivery
	confirms chan amqp.Confirmation
	returns  chan amqp.Return
	closed   chan *amqp.Error
}

func (c *Commands) newSender() (*sender, error) {
	ch, err := c.sends.channel(c.ctx)
	if err != nil {
		return nil, err
	}
	s := &sender{ch: ch, calls: map[uint64]*call{}, closed: ch.NotifyClose(make(chan *amqp.Error, 1)),
		confirms: ch.NotifyPublish(make(chan amqp.Confirmation, 2*maxCalls)), returns: ch.NotifyReturn(make(chan amqp.Return, 2*maxCalls))}
	if err = ch.Confirm(false); err == nil {
		s.replies, err = ch.Consume(directReplyTo, "", true, false, false, false, nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("RabbitMQ refuses a channel for commands: %w", err), ch.Close())
	}
	return s, nil
}

// run publishes calls and hands back what becomes of them.
func (s *sender) run(ctx context.Context, calls <-chan *call) error {
	sweep := time.NewTicker(time.Second)
	defer sweep.Stop()
	for {
		next := calls
		if len(s.calls) >= maxCalls {
			next = nil
		}
		select {
		case k := <-next:
			if err := s.publish(k); err != nil {
				return err
			}
		case r, ok := <-s.replies:
			if !ok {
				return s.lost(nil)
			}
			s.answer(r.CorrelationId, readReply(&r), nil)
		case r := <-s.returns: // no queue: no lane was ever claimed
			s.answer(r.CorrelationId, streams.CommandReply{}, streams.ErrNoLane)
		case k := <-s.confirms:
			if !k.Ack {
				s.answer(strconv.FormatUint(k.DeliveryTag, 10), streams.CommandReply{}, streams.ErrBusy)
			}
		case err := <-s.closed:
			return s.lost(err)
		case <-sweep.C:
			s.forget()
		case <-ctx.Done():
			return errClosed
		}
	}
}

func (s *sender) publish(k *call) error {
	if k.ctx.Err() != nil {
		return nil // nobody waits any more
	}
	number := s.ch.GetNextPublishSeqNo() // that its confirmation has, too
	s.calls[number] = k
	// Mandatory: a command that no queue takes comes back.
	if err := s.ch.PublishWithContext(k.ctx, "", k.queue, true, false, commandMessage(k.ctx, &k.cmd, strconv.FormatUint(number, 10))); err != nil {
		return fmt.Errorf("RabbitMQ takes no commands: %w", err)
	}
	return nil
}

func (s *sender) answer(number string, r streams.CommandReply, err error) {
	n, parseErr := strconv.ParseUint(number, 10, 64)
	k := s.calls[n]
	if parseErr != nil || k == nil {
		return // given up
	}
	delete(s.calls, n)
	if err == nil && r.Status == "" {
		err = errors.New("the answer has no status")
	}
	k.end(r, err)
}

// forget drops the calls that nobody waits for any more.
func (s *sender) forget() {
	for n, k := range s.calls {
		if k.ctx.Err() != nil {
			delete(s.calls, n)
		}
	}
}

// fail tells everybody who waits that nothing is known of their commands.
func (s *sender) fail(err error) {
	for _, k := range s.calls {
		k.end(streams.CommandReply{}, err)
	}
}

func (s *sender) lost(err *amqp.Error) error {
	if err == nil {
		return errors.New("the channel to RabbitMQ was closed")
	}
	return fmt.Errorf("the channel to RabbitMQ was lost: %w", err)
}
