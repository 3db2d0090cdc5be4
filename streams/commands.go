package streams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
)

// Command is a request to the decider that owns its key.
type Command struct {
	ID          string // from the client or its Idempotency-Key: the same id is decided once
	Name        string // as declared by OnCommand
	Key         string
	Body        []byte // JSON
	Correlation string // empty: the command begins a saga of its own
	Traceparent string
}

// NewCommand encodes a command value.
func NewCommand(id, name string, c Event) (Command, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return Command{}, fmt.Errorf("command %s cannot be encoded: %w", name, err)
	}
	if err := CheckKey(c.Key().String()); err != nil {
		return Command{}, fmt.Errorf("command %s: %w", name, err)
	}
	return Command{ID: id, Name: name, Key: c.Key().String(), Body: b}, nil
}

func (c *Command) digest() string {
	sum := sha256.Sum256(c.Body)
	return c.Name + " " + c.Key + " " + hex.EncodeToString(sum[:12])
}

// CommandReply answers a command once its transaction is committed.
type CommandReply struct {
	Status ReplyStatus
	Body   []byte // JSON of the reply, or of the Rejection
	Token  string // what to wait for to read one's own write; see ParseToken
}

// Token names the last event that a command emitted.
type Token struct {
	Source
	Seq int64
}

func (t Token) String() string { return fmt.Sprintf("%s:%s:%d", t.Topic, t.Lane, t.Seq) }

// ErrBusy says that a lane has as many commands waiting as it takes.
var ErrBusy = errors.New("the lane has no room for another command: try again later")

// ErrNoLane says that nobody owns the lane of a command now.
var ErrNoLane = errors.New("no instance owns the command's lane now: try again later")

// Commands carries commands to lanes within a process. A queue belongs to a
// claimed lane: it appears with the claim and goes with it.
type Commands struct {
	mu     sync.Mutex
	queues map[queueName]*commandQueue
}

type queueName struct {
	service string
	lane    int32
}

type commandQueue struct {
	in     chan *pendingCommand
	closed chan struct{} // no more replies will come
}

type pendingCommand struct {
	Command
	ctx   context.Context
	reply chan CommandReply // buffered: a lane never waits for who asked
}

// NewCommands makes an in-process command port.
func NewCommands() *Commands { return &Commands{queues: map[queueName]*commandQueue{}} }

// queueDepth bounds the commands that wait for a lane.
const queueDepth = 256

func (c *Commands) open(service string, lane int32) *commandQueue {
	q := &commandQueue{in: make(chan *pendingCommand, queueDepth), closed: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queues[queueName{service, lane}] = q
	return q
}

func (c *Commands) close(service string, lane int32, q *commandQueue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queues[queueName{service, lane}] == q {
		delete(c.queues, queueName{service, lane})
	}
	close(q.closed)
}

// Send hands a command to the lane that owns its key and waits for the reply.
// An error means that nothing is known: send the same id again to learn more.
func (c *Commands) Send(ctx context.Context, service string, partitions int32, cmd Command) (CommandReply, error) {
	lane := Partition(cmd.Key, partitions)
	c.mu.Lock()
	q := c.queues[queueName{service, lane}]
	c.mu.Unlock()
	if q == nil {
		return CommandReply{}, fmt.Errorf("%s/%d: %w", service, lane, ErrNoLane)
	}
	p := &pendingCommand{Command: cmd, ctx: ctx, reply: make(chan CommandReply, 1)}
	select {
	case q.in <- p:
	default:
		return CommandReply{}, fmt.Errorf("%s/%d: %w", service, lane, ErrBusy)
	}
	select {
	case r := <-p.reply:
		return r, nil
	case <-q.closed:
		select {
		case r := <-p.reply:
			return r, nil
		default:
			return CommandReply{}, fmt.Errorf("%s/%d was given up before it answered: %w", service, lane, ErrNoLane)
		}
	case <-ctx.Done():
		return CommandReply{}, fmt.Errorf("command %s to %s/%d: %w", cmd.Name, service, lane, context.Cause(ctx))
	}
}
