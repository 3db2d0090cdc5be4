// Package commandtest is the conformance suite of the commands port: what a
// lane and who asks it may rely on, whoever carries the commands.
package commandtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
)

// Ports are two ends of one port: they may be the same, or two processes'.
type Ports struct {
	Client, Server streams.Commands
}

// Run runs the suite. Open gives the ends of a port whose queues are nobody
// else's; it cleans them up with the test.
func Run(t *testing.T, open func(t *testing.T) Ports) {
	for name, f := range map[string]func(*bench){
		"every sender gets its own answer":               answers,
		"a command arrives as it was sent":               whole,
		"a large command is answered":                    large,
		"a long id costs nobody else anything":           longID,
		"nobody serves the lane":                         nobody,
		"an answer that does not come is an error":       silence,
		"what a closed queue left is no success":         closedQueue,
		"the next owner takes over":                      nextOwner,
		"an owner's answers are delivered after Close":   answersAtClose,
		"a lane gets its own commands only":              otherLanes,
		"a lane that takes nothing bounds those waiting": bounded,
		"what works says so":                             wellSaid,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			f(&bench{T: t, ctx: ctx, Ports: open(t)})
		})
	}
}

const service = "order"

type bench struct {
	*testing.T
	Ports
	ctx context.Context
}

func command(id string) streams.Command {
	return streams.Command{ID: id, Name: "place-order", Key: "o-" + id, Body: []byte(`{"order":"o-` + id + `"}`)}
}

// echo answers every command of a queue with its id, until the queue is closed.
func (b *bench) echo(q *streams.CommandQueue) (stop func()) {
	ctx, cancel := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case r := <-q.In:
				r.Reply(streams.CommandReply{Status: streams.ReplyDone, Body: []byte(`"` + r.ID + `"`)})
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		q.Close()
	}
}

// ask sends until there is an answer: a queue may take a moment to be there.
func (b *bench) ask(cmd streams.Command) (streams.CommandReply, error) {
	for {
		ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
		r, err := b.Client.Send(ctx, service, 0, cmd)
		cancel()
		if err == nil || b.ctx.Err() != nil {
			return r, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *bench) mustEcho(id string) {
	b.Helper()
	r, err := b.ask(command(id))
	if err != nil || r.Status != streams.ReplyDone || string(r.Body) != `"`+id+`"` {
		b.Fatalf("command %s was answered %s %s, %v", id, r.Status, r.Body, err)
	}
}

func answers(b *bench) {
	defer b.echo(b.Server.Serve(service, 0, 1))()
	b.mustEcho("first")
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			for i := range 5 {
				id := fmt.Sprintf("%d-%d", n, i)
				if r, err := b.ask(command(id)); err != nil || string(r.Body) != `"`+id+`"` {
					b.Errorf("command %s was answered %s, %v", id, r.Body, err)
				}
			}
		})
	}
	wg.Wait()
}

func whole(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer q.Close()
	sent := streams.Command{ID: "k 1/é", Name: "cancel-order", Key: "o-ü", Body: []byte(`{"reason":"\u0000"}`), Correlation: "saga-1",
		Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	want := streams.CommandReply{Status: streams.ReplyRejected, Body: []byte(`{"code":"unknown-order"}`), Token: "order.order:order/0/x:7"}
	done := make(chan streams.Command, 16)
	go func() {
		for {
			select {
			case r := <-q.In:
				done <- r.Command
				r.Reply(want)
			case <-b.ctx.Done():
				return
			}
		}
	}()
	r, err := b.ask(sent)
	if err != nil || fmt.Sprint(r) != fmt.Sprint(want) {
		b.Errorf("answered %v, %v; want %v", r, err, want)
	}
	if got := <-done; fmt.Sprint(got) != fmt.Sprint(sent) {
		b.Errorf("arrived as %v, want %v", got, sent)
	}
}

func large(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer q.Close()
	body := []byte(`"` + strings.Repeat("x", 900_000) + `"`)
	go func() {
		for {
			select {
			case r := <-q.In:
				r.Reply(streams.CommandReply{Status: streams.ReplyDone, Body: r.Body})
			case <-b.ctx.Done():
				return
			}
		}
	}()
	cmd := command("large")
	cmd.Body = body
	if r, err := b.ask(cmd); err != nil || string(r.Body) != string(body) {
		b.Errorf("%d bytes came back, %v; want %d", len(r.Body), err, len(body))
	}
}

// longID sends an id that not every carrier can take, beside a command that is
// under way.
func longID(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer q.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := b.Client.Send(b.ctx, service, 0, command("other"))
		for errors.Is(err, streams.ErrNoLane) && b.ctx.Err() == nil { // the queue may take a moment
			time.Sleep(20 * time.Millisecond)
			_, err = b.Client.Send(b.ctx, service, 0, command("other"))
		}
		answered <- err
	}()
	other := <-q.In
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	if _, err := b.Client.Send(ctx, service, 0, command(strings.Repeat("x", 300))); err == nil {
		b.Error("it was a success, and nobody answered it")
	}
	other.Reply(streams.CommandReply{Status: streams.ReplyDone})
	if err := <-answered; err != nil {
		b.Errorf("the other command got %v", err)
	}
}

func nobody(b *bench) {
	began := time.Now()
	if _, err := b.Client.Send(b.ctx, service, 0, command("a")); !errors.Is(err, streams.ErrNoLane) {
		b.Errorf("got error %v, want ErrNoLane", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		b.Errorf("it took %v to say so", d)
	}
}

func silence(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer q.Close()
	go func() { // so that the queue is known to be there
		r := <-q.In
		r.Reply(streams.CommandReply{Status: streams.ReplyDone})
	}()
	if _, err := b.ask(command("first")); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, 300*time.Millisecond)
	defer cancel()
	if r, err := b.Client.Send(ctx, service, 0, command("a")); !errors.Is(err, context.DeadlineExceeded) {
		b.Errorf("answered %v, %v; want the deadline's error", r, err)
	}
}

func closedQueue(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	b.served(q) // who asks gives up after a while
	failed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
		defer cancel()
		for {
			_, err := b.Client.Send(ctx, service, 0, command("a"))
			if !errors.Is(err, streams.ErrNoLane) || ctx.Err() != nil {
				failed <- err
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	<-q.In // taken, and never answered
	q.Close()
	if err := <-failed; err == nil {
		b.Error("a command that nobody answered was a success")
	}
}

func nextOwner(b *bench) {
	stop := b.echo(b.Server.Serve(service, 0, 1))
	b.mustEcho("a")
	stop()
	defer b.echo(b.Server.Serve(service, 0, 2))()
	b.mustEcho("b")
}

func answersAtClose(b *bench) {
	for n := range 20 {
		q := b.Server.Serve(service, 0, int64(n+1))
		go func() {
			r := <-q.In
			r.Reply(streams.CommandReply{Status: streams.ReplyDone, Body: []byte(`"` + r.ID + `"`)})
			q.Close()
		}()
		b.mustEcho(fmt.Sprint("c", n))
	}
}

func otherLanes(b *bench) {
	zero, one := b.Server.Serve(service, 0, 1), b.Server.Serve(service, 1, 1)
	defer b.echo(zero)()
	defer one.Close()
	for n := range 10 {
		b.mustEcho(fmt.Sprint("c", n))
	}
	select {
	case r := <-one.In:
		b.Errorf("lane 1 got %s, a command for lane 0", r.ID)
	case <-time.After(100 * time.Millisecond):
	}
}

func bounded(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer q.Close()
	probe := make(chan struct{})
	go func() {
		r := <-q.In
		r.Reply(streams.CommandReply{Status: streams.ReplyDone})
		close(probe)
	}()
	if _, err := b.ask(command("probe")); err != nil {
		b.Fatal(err)
	}
	<-probe
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	busy := make(chan error, 3000)
	for n := range cap(busy) {
		go func() {
			_, err := b.Client.Send(ctx, service, 0, command(fmt.Sprint("w", n)))
			busy <- err
		}()
	}
	for range cap(busy) {
		if err := <-busy; errors.Is(err, streams.ErrBusy) {
			return
		}
	}
	b.Errorf("%d commands wait for a lane that takes none, and nobody was told that it is busy", cap(busy))
}

// wellSaid wants no complaint of a port, nor of a queue, that works.
func wellSaid(b *bench) {
	q := b.Server.Serve(service, 0, 1)
	defer b.echo(q)()
	b.served(q)
}

// served waits until a queue and who sends to it work.
func (b *bench) served(q *streams.CommandQueue) {
	var sending, serving error
	for b.ctx.Err() == nil {
		if sending, serving = b.Client.Err(), q.Err(); sending == nil && serving == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatalf("sending: %v; serving: %v", sending, serving)
}
