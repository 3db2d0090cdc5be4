// Package rabbitmq carries commands over RabbitMQ: a quorum queue per lane, from
// which only the lane's owner consumes, and direct reply-to for the answers.
//
// The client library's own recovery is experimental and knows nothing of
// claims; here every connection, and everything on it, is made anew by who
// needs it.
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/streams"
)

// Options change how commands are carried. The zero value of each is usable.
type Options struct {
	Prefix string       // of the names of queues and exchanges; default DefaultPrefix
	Log    *slog.Logger // default: discards
}

// DefaultPrefix is that of the platform.
const DefaultPrefix = "weir"

const (
	heartbeat     = 5 * time.Second // a dead peer is noticed after two of them
	dialTimeout   = 5 * time.Second
	defaultTTL    = 30 * time.Second // of a command whose sender set no deadline
	maxReady      = 1000             // commands that wait in a lane's queue; more are refused
	deliveryLimit = 20               // a command that so many owners did not answer goes to the dead ones
	maxDead       = 10_000           // dead commands kept, for
	deadTTL       = 24 * time.Hour
)

// Commands is a streams.Commands over RabbitMQ.
type Commands struct {
	prefix string
	log    *slog.Logger
	// Two connections: RabbitMQ blocks a connection that publishes too much,
	// and acknowledgements with it.
	sends, serves *link
	vhost         string
	calls         chan *call
	state         state // of sending
	wg            sync.WaitGroup
	ctx           context.Context
	stop          context.CancelFunc
}

var _ streams.Commands = (*Commands)(nil)

// Open prepares the port for a broker at a URL, amqp:// or amqps://. It does not
// wait for the broker: a broker that is away is tried again until Close.
func Open(address string, o Options) (*Commands, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Host == "" {
		return nil, errors.New("the address of RabbitMQ is not of the form amqp://user:password@host:port/vhost") // without it: it holds a password
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	uri, err := amqp.ParseURI(address)
	if err != nil {
		return nil, errors.New("the address of RabbitMQ is not of the form amqp://user:password@host:port/vhost")
	}
	c := &Commands{prefix: o.Prefix, vhost: uri.Vhost, log: o.Log.With("broker", u.Host), sends: newLink(address, o.Prefix+" sender"), serves: newLink(address, o.Prefix+" lanes"),
		calls: make(chan *call, streams.QueueDepth)}
	c.state.set(errNotYet)
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.wg.Go(c.send)
	return c, nil
}

// Close ends all that is under way. Queues that are served should be closed
// before: their last answers are still delivered then.
func (c *Commands) Close() error {
	c.stop()
	err := c.sends.close() // first: a write that the broker does not take ends with it
	c.wg.Wait()
	return errors.Join(err, c.serves.close())
}

// QueueName is the queue of a lane's commands.
func QueueName(prefix, service string, lane int32) string {
	return prefix + ".commands." + service + "." + strconv.Itoa(int(lane))
}

// DeadName is the queue, and the exchange, of commands that nobody could take.
func DeadName(prefix string) string { return prefix + ".commands.dead" }

// declare makes a lane's queue, and where the commands go that nobody can take.
// Those that expired with their senders go there too; x-first-death-reason tells
// them apart.
func (c *Commands) declare(ch *amqp.Channel, queue string) error {
	dead := DeadName(c.prefix)
	if err := ch.ExchangeDeclare(dead, amqp.ExchangeFanout, true, false, false, false, nil); err != nil {
		return otherwise(err, "exchange "+dead, "rabbitmqadmin -V '"+c.vhost+"' delete exchange name='"+dead+"'")
	}
	_, err := ch.QueueDeclare(dead, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum,
		amqp.QueueMaxLenArg: maxDead, amqp.QueueMessageTTLArg: deadTTL.Milliseconds()})
	if err != nil {
		return otherwise(err, "queue "+dead, c.deleteQueue(dead))
	}
	if err := ch.QueueBind(dead, "", dead, false, nil); err != nil {
		return fmt.Errorf("binding queue %s: %w", dead, err)
	}
	_, err = ch.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum,
		amqp.QueueMaxLenArg: maxReady, amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish,
		"x-dead-letter-exchange": dead, "x-delivery-limit": deliveryLimit})
	if err != nil {
		return otherwise(err, "queue "+queue, c.deleteQueue(queue))
	}
	return nil
}

func (c *Commands) deleteQueue(name string) string {
	return "once it is empty (rabbitmqctl list_queues -p '" + c.vhost + "' name messages): rabbitmqctl delete_queue -p '" + c.vhost + "' '" + name + "'"
}

// otherwise explains the error of a declaration. What is there under the name and
// is of another kind will stay so: a queue is not deleted here, as it may hold
// commands.
func otherwise(err error, what, cure string) error {
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.PreconditionFailed {
		return fmt.Errorf("the %s is there with another kind or other arguments, and no commands are taken until somebody has deleted it, then it is made anew; %s: %w", what, cure, err)
	}
	return fmt.Errorf("declaring the %s: %w", what, err)
}

// state is why something does not work now, or nil.
type state struct {
	mu  sync.Mutex
	err error
}

var errNotYet = errors.New("not connected to RabbitMQ yet")

func (s *state) set(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
}

func (s *state) get() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Err tells why commands cannot be sent now, or nil.
func (c *Commands) Err() error { return c.state.get() }

// link is one connection, dialled when it is needed and not there.
type link struct {
	address, name string
	turn          chan struct{} // one dials or looks at a time
	conn          *amqp.Connection
}

func newLink(address, name string) *link {
	return &link{address: address, name: name, turn: make(chan struct{}, 1)}
}

// channel opens a channel on the connection, and the connection before if it
// is not there.
func (l *link) channel(ctx context.Context) (*amqp.Channel, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if l.conn == nil || l.conn.IsClosed() {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx) // who closed the link does not find it open again
		}
		p := amqp.NewConnectionProperties()
		p.SetClientConnectionName(l.name)
		conn, err := amqp.DialConfig(l.address, amqp.Config{Heartbeat: heartbeat, Locale: "en_US", Properties: p, Dial: amqp.DefaultDial(dialTimeout)})
		if err != nil {
			return nil, fmt.Errorf("RabbitMQ does not answer: %w", redact(err))
		}
		l.conn = conn
	}
	ch, err := l.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("RabbitMQ opens no channel: %w", err)
	}
	return ch, nil
}

// redact keeps an error of the network, whose text may repeat the address, from
// telling more than where it failed.
func redact(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

func (l *link) close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	if l.conn == nil || l.conn.IsClosed() {
		return nil
	}
	return l.conn.CloseDeadline(time.Now().Add(dialTimeout))
}

// backoff is how long to wait before the broker is tried again.
func backoff(failures int) time.Duration {
	return min(50*time.Millisecond<<min(failures, 6), 2*time.Second)
}
