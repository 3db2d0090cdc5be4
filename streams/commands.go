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
	if err := CheckName(c.Key().String()); err != nil {
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

// Commands carries commands to the lanes that own their keys, and their replies
// back. streams/commandtest holds the suite that every implementation passes.
type Commands interface {
	// Send hands a command to a service's lane and waits for the reply. An error
	// means that nothing is known: send the same id again to learn more.
	Send(ctx context.Context, service string, lane int32, cmd Command) (CommandReply, error)
	// Serve takes a lane's commands for the owner who has claimed it with this
	// epoch, until the queue is closed. It returns at once; trouble with a
	// broker is the implementation's to wait out.
	Serve(service string, lane int32, epoch int64) *CommandQueue
	// Err tells why commands cannot be sent now, or nil.
	Err() error
}

// CommandQueue is a claimed lane's end of the port: it appears with the claim
// and goes with it.
type CommandQueue struct {
	In    <-chan *CommandRequest
	Close func() // no more replies will come; those given are still delivered
	// Err tells why no commands come now, and what a person has to do if that will
	// not pass; nil while the queue is served.
	Err func() error
}

// CommandRequest is a command that waits for its lane.
type CommandRequest struct {
	Command
	Reply func(CommandReply) // at most once; never blocks
}

// inProcess carries commands within a process.
type inProcess struct {
	mu     sync.Mutex
	queues map[queueName]*localQueue
}

type queueName struct {
	service string
	lane    int32
}

type localQueue struct {
	in     chan *CommandRequest
	closed chan struct{} // no more replies will come
}

// NewCommands makes a port that reaches the lanes of this process.
func NewCommands() Commands { return &inProcess{queues: map[queueName]*localQueue{}} }

// QueueDepth bounds the commands that wait for a lane.
const QueueDepth = 256

func (c *inProcess) Serve(service string, lane int32, _ int64) *CommandQueue {
	name := queueName{service, lane}
	q := &localQueue{in: make(chan *CommandRequest, QueueDepth), closed: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queues[name] = q
	return &CommandQueue{In: q.in, Close: func() { c.close(name, q) }, Err: func() error { return nil }}
}

func (c *inProcess) Err() error { return nil }

func (c *inProcess) close(name queueName, q *localQueue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queues[name] == q {
		delete(c.queues, name)
	}
	close(q.closed)
}

func (c *inProcess) Send(ctx context.Context, service string, lane int32, cmd Command) (CommandReply, error) {
	c.mu.Lock()
	q := c.queues[queueName{service, lane}]
	c.mu.Unlock()
	if q == nil {
		return CommandReply{}, fmt.Errorf("%s/%d: %w", service, lane, ErrNoLane)
	}
	reply := make(chan CommandReply, 1) // a lane never waits for who asked
	select {
	case q.in <- &CommandRequest{Command: cmd, Reply: func(r CommandReply) { reply <- r }}:
	default:
		return CommandReply{}, fmt.Errorf("%s/%d: %w", service, lane, ErrBusy)
	}
	select {
	case r := <-reply:
		return r, nil
	case <-q.closed:
		select {
		case r := <-reply:
			return r, nil
		default:
			return CommandReply{}, fmt.Errorf("%s/%d was given up before it answered: %w", service, lane, ErrNoLane)
		}
	case <-ctx.Done():
		return CommandReply{}, fmt.Errorf("command %s to %s/%d: %w", cmd.Name, service, lane, context.Cause(ctx))
	}
}
