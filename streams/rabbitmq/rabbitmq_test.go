//go:build real

package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/commandtest"
	"github.com/weirstream/weir/streams/streamtest"
)

// open gives a port with queues of its own, which go with the test.
func open(t *testing.T) *Commands {
	t.Helper()
	return openAs(t, "test-"+strings.ToLower(rand.Text()))
}

func openAs(t *testing.T, prefix string) *Commands {
	t.Helper()
	c, err := Open(streamtest.Real(t, "rabbitmq"), Options{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		remove(t, c)
	})
	return c
}

func channel(t *testing.T) *amqp.Channel {
	t.Helper()
	l := newLink(streamtest.Real(t, "rabbitmq"), "test")
	ch, err := l.channel(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close() })
	return ch
}

func remove(t *testing.T, c *Commands) {
	ch := channel(t)
	names := []string{c.prefix + ".commands.dead"}
	for lane := range int32(2) {
		names = append(names, QueueName(c.prefix, "order", lane))
	}
	for _, n := range names {
		if _, err := ch.QueueDelete(n, false, false, false); err != nil {
			t.Error(err)
		}
	}
	if err := ch.ExchangeDelete(c.prefix+".commands.dead", false, false); err != nil {
		t.Error(err)
	}
}

func TestConformance(t *testing.T) {
	commandtest.Run(t, func(t *testing.T) commandtest.Ports {
		server := open(t)
		return commandtest.Ports{Client: openAs(t, server.prefix), Server: server}
	})
}

func TestAnAddressIsNotPrinted(t *testing.T) {
	for _, address := range []string{"http://u:secret@h/", "amqp://u:secret@h:port/", "amqp://u:secret%zz@h/", ""} {
		if _, err := Open(address, Options{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q): error %v, want one without the password", address, err)
		}
	}
	c, err := Open("amqp://u:secret@127.0.0.1:1/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := c.Send(ctx, "order", 0, streams.Command{ID: "a"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a broker that is away: %v", err)
	}
}

// counter is a lane that remembers its answers, as a store does.
type counter struct {
	mu   sync.Mutex
	done map[string]int
}

func (l *counter) serve(ctx context.Context, q *streams.CommandQueue) {
	for {
		select {
		case r := <-q.In:
			l.mu.Lock()
			l.done[r.ID]++
			l.mu.Unlock()
			r.Reply(streams.CommandReply{Status: streams.ReplyDone, Body: []byte(`"` + r.ID + `"`)})
		case <-ctx.Done():
			return
		}
	}
}

// The broker restarts under load: whoever keeps asking is answered, with the
// answer to the own command, and nobody is told of a success that was none.
func TestTheBrokerRestarts(t *testing.T) {
	c := open(t)
	l := &counter{done: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := c.Serve("order", 0, 1)
	defer q.Close()
	go l.serve(ctx, q)
	var answered, failed atomic.Int64
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", n, i)
				for ctx.Err() == nil {
					ask, done := context.WithTimeout(ctx, 2*time.Second)
					r, err := c.Send(ask, "order", 0, streams.Command{ID: id, Name: "place", Key: "k", Body: []byte(`{}`)})
					done()
					if err != nil {
						failed.Add(1)
						time.Sleep(50 * time.Millisecond)
						continue
					}
					l.mu.Lock()
					times := l.done[id]
					l.mu.Unlock()
					if answered.Add(1); times == 0 || string(r.Body) != `"`+id+`"` {
						t.Errorf("%s was answered %s, and done %d times", id, r.Body, times)
					}
					break
				}
			}
		})
	}
	within(t, 10*time.Second, "answers", func() bool { return answered.Load() > 200 })
	for range 2 {
		streamtest.Servers(t, "restart", "rabbitmq")
		before := answered.Load()
		within(t, 30*time.Second, "answers after the restart", func() bool { return answered.Load() > before+200 })
	}
	cancel()
	wg.Wait()
	if failed.Load() == 0 {
		t.Error("nobody noticed the restarts")
	}
	t.Logf("%d answers, %d tries without", answered.Load(), failed.Load())
}

func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s within %v", what, limit)
		}
	}
}

// A zombie keeps its subscription; its successor gets the commands all the same.
func TestAZombieGetsNothing(t *testing.T) {
	old, port := open(t), (*Commands)(nil)
	zombie := old.Serve("order", 0, 7)
	defer zombie.Close()
	ask := func(id string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := port.Send(ctx, "order", 0, streams.Command{ID: id, Name: "place", Key: "k"})
		return err
	}
	port = openAs(t, old.prefix)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	q := port.Serve("order", 0, 8)
	defer q.Close()
	l := &counter{done: map[string]int{}}
	go l.serve(ctx, q)
	within(t, 10*time.Second, "subscription", func() bool { return consumers(t, QueueName(old.prefix, "order", 0)) == 2 })
	for n := range 50 {
		if err := ask(fmt.Sprint("c", n)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case r := <-zombie.In:
		t.Errorf("the zombie got %s", r.ID)
	default:
	}
}

func consumers(t *testing.T, queue string) int {
	t.Helper()
	ch := channel(t)
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		return 0
	}
	return q.Consumers
}

// What is no command, and what every owner dies of, goes to the dead ones.
func TestDeadCommands(t *testing.T) {
	c := open(t)
	q := c.Serve("order", 0, 1)
	name := QueueName(c.prefix, "order", 0)
	within(t, 10*time.Second, "subscription", func() bool { return consumers(t, name) == 1 })
	ch := channel(t)
	if err := ch.PublishWithContext(t.Context(), "", name, true, false, amqp.Publishing{MessageId: "no-type", Body: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	dead := c.prefix + ".commands.dead"
	within(t, 10*time.Second, "dead command", func() bool { return depth(t, dead) == 1 })
	if err := ch.PublishWithContext(t.Context(), "", name, true, false, amqp.Publishing{MessageId: "deadly", Type: "place", Headers: amqp.Table{headerKey: "k"}}); err != nil {
		t.Fatal(err)
	}
	for range deliveryLimit + 1 {
		select {
		case <-q.In: // taken, never answered
		case <-time.After(10 * time.Second):
			t.Fatal("the command does not come again")
		}
		q.Close()
		q = c.Serve("order", 0, 1)
	}
	within(t, 10*time.Second, "second dead command", func() bool { return depth(t, dead) == 2 })
	q.Close()
}

func depth(t *testing.T, queue string) int {
	t.Helper()
	ch := channel(t)
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q.Messages
}

// A command whose sender has given up is not decided any more, if it still waits.
func TestACommandExpiresWithItsSender(t *testing.T) {
	c := open(t)
	q := c.Serve("order", 0, 1)
	within(t, 10*time.Second, "subscription", func() bool { return consumers(t, QueueName(c.prefix, "order", 0)) == 1 })
	q.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.Send(ctx, "order", 0, streams.Command{ID: "late", Name: "place", Key: "k"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got error %v, want the deadline's", err)
	}
	time.Sleep(500 * time.Millisecond)
	q = c.Serve("order", 0, 2)
	defer q.Close()
	select {
	case r := <-q.In:
		t.Errorf("%s was delivered though its sender had given up", r.ID)
	case <-time.After(time.Second):
	}
}

// A queue that somebody has declared otherwise takes no commands: that is said,
// with what to do, and it is served as soon as it is done.
func TestAQueueOfAnotherKind(t *testing.T) {
	c := open(t)
	ch, name := channel(t), QueueName(c.prefix, "order", 0)
	if _, err := ch.QueueDeclare(name, true, false, false, false, nil); err != nil { // a classic one
		t.Fatal(err)
	}
	q, other := c.Serve("order", 0, 1), c.Serve("order", 1, 1)
	defer q.Close()
	defer other.Close()
	waitErr(t, other, "")
	waitErr(t, q, name, "another kind", "rabbitmqctl delete_queue -p '/' '"+name+"'")
	if _, err := ch.QueueDelete(name, false, false, false); err != nil {
		t.Fatal(err)
	}
	waitErr(t, q, "")
}

// waitErr waits until a queue says all this, or nothing.
func waitErr(t *testing.T, q *streams.CommandQueue, want ...string) {
	t.Helper()
	var err error
	for range 100 {
		if err = q.Err(); (err == nil) == (want[0] == "") {
			said := true
			for _, w := range want {
				said = said && (err == nil || strings.Contains(err.Error(), w))
			}
			if said {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the queue says %v, want %q", err, want)
}
