package streamtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
	"github.com/weirstream/weir/streams/verify"
)

// bank is the world outside: it answers each idempotency key once, declines one
// in eight, and may be slow, silent or forgetful in its answers.
type bank struct {
	mu      sync.Mutex
	trouble map[string]bool
	moved   map[string]int // effects by key
	answers map[string]int
}

func (b *bank) Switch(name string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble[name] = on
}

var errSilent = errors.New("the line went dead")

func (b *bank) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	down, slow, silent, key := b.trouble["down"], b.trouble["slow"], b.trouble["silent"], r.Header.Get("Idempotency-Key")
	status, known := b.answers[key]
	if !known && !down {
		h := fnv.New32a()
		_, _ = io.WriteString(h, key) // a hash takes everything
		if status = http.StatusCreated; h.Sum32()%8 == 0 {
			status = http.StatusPaymentRequired
		} else {
			b.moved[key]++
		}
		b.answers[key] = status
	}
	b.mu.Unlock()
	wait := 20 * time.Millisecond
	if slow {
		wait = 1500 * time.Millisecond
	}
	if silent { // it acts, and its answer comes after the deadline
		wait = 10 * time.Second
	}
	select {
	case <-time.After(wait):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	switch {
	case down:
		status = http.StatusServiceUnavailable
	case silent:
		return nil, errSilent
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte("{}"))), Request: r}, nil
}

// bankDay is the simulation of it. A simulation runs many worlds at a time, so
// what belongs to one of them is found by it.
func bankDay(t testing.TB) *streamtest.Simulation {
	t.Helper()
	top, err := bankTopology()
	if err != nil {
		t.Fatal(err)
	}
	var banks sync.Map // by *streamtest.World
	of := func(w *streamtest.World) *bank {
		b, _ := banks.Load(w)
		return b.(*bank)
	}
	s := &streamtest.Simulation{Topology: top, Instances: 2,
		Open: func(w *streamtest.World) func() {
			b := &bank{trouble: map[string]bool{}, moved: map[string]int{}, answers: map[string]int{}}
			banks.Store(w, b)
			w.Transports = streams.Transports{HTTP: streams.HTTPTransport{Client: &http.Client{Transport: b}, Addresses: map[string]string{"bank": "http://bank"}}}
			return func() { banks.Delete(w) }
		},
		Work: bankWork,
		Check: func(ctx context.Context, w *streamtest.World, in verify.Input) (*verify.Report, error) {
			return bankCheck(ctx, of(w), in)
		}}
	for _, name := range []string{"down", "slow", "silent"} {
		s.Outside = append(s.Outside, streamtest.Trouble{Name: name, Switch: func(w *streamtest.World, on bool) { of(w).Switch(name, on) }})
	}
	return s
}

// bankWork is customers: bursts and pauses, one hot account, repeated commands
// and deposits that are told twice.
func bankWork(w *streamtest.World) {
	var customers sync.WaitGroup
	for a := range 3 {
		if err := w.Post(fmt.Sprint("d-", a), Deposited{Account(fmt.Sprint("acc-", a)), 1000}); err != nil {
			w.Violate("%v", err)
		}
	}
	for n := range 12 + w.Rand.IntN(12) {
		p := Pay{PaymentID(fmt.Sprint("p-", n)), Account(fmt.Sprint("acc-", w.Rand.IntN(6)/3*w.Rand.IntN(3))), int64(1 + w.Rand.IntN(400))}
		id, again := fmt.Sprint("c-", n), w.Rand.IntN(3) == 0
		customers.Go(func() {
			if _, err := w.Send(id, "pay", p); err != nil {
				w.Violate("%s: %v", id, err)
			}
			if again {
				if _, err := w.Send(id, "pay", p); err != nil {
					w.Violate("%s again: %v", id, err)
				}
			}
		})
		if w.Rand.IntN(4) == 0 {
			d := fmt.Sprint("d-", w.Rand.IntN(8))
			if err := w.Post(d, Deposited{Account("acc-" + d[2:]), 1000}); err != nil { // 0 to 2 are repeats
				w.Violate("%v", err)
			}
		}
		if w.Rand.IntN(3) > 0 {
			time.Sleep(time.Duration(w.Rand.IntN(6000)) * time.Millisecond)
		}
	}
	customers.Wait()
}

// books are what the business's own invariant is checked with.
type books struct {
	in, out, balance int64
	ends             map[PaymentID]int
	holds            map[PaymentID]int64
	paid             map[string]bool // by the bank's key
}

func (b *books) take(_ string, e streams.Event) {
	switch e := e.(type) {
	case Asked:
		b.ends[e.Payment] += 0 // known
	case Paid:
		b.ends[e.Payment]++
		b.paid[string(e.Payment)+"/transfer"] = true
		b.out += e.Amount
	case Failed:
		b.ends[e.Payment]++
	case Credited:
		b.balance += e.Amount
	case Held:
		b.holds[e.Payment] += e.Amount
	case Freed:
		if e.Gone {
			b.balance -= b.holds[e.Payment]
		}
		delete(b.holds, e.Payment)
	}
}

// bankCheck adds the business's own invariant: money is neither made nor lost.
func bankCheck(ctx context.Context, outside *bank, in verify.Input) (*verify.Report, error) {
	b := &books{ends: map[PaymentID]int{}, holds: map[PaymentID]int64{}, paid: map[string]bool{}}
	in.Event = b.take
	in.Posted = func(e streams.Envelope) {
		var d Deposited
		if e.Type == "deposited" && json.Unmarshal(e.Data, &d) == nil {
			b.in += d.Amount
		}
	}
	r, err := verify.Check(ctx, in)
	if err != nil {
		return r, err
	}
	r.Declare("money", "payments")
	r.Looked("money", len(b.ends))
	if b.in-b.out != b.balance {
		r.Violate("money", "%d came in, %d went out, and the accounts have %d", b.in, b.out, b.balance)
	}
	for p, n := range b.ends {
		if n != 1 || b.holds[p] != 0 {
			r.Violate("money", "payment %s ended %d times and holds %d", p, n, b.holds[p])
		}
	}
	for key, n := range outside.moved {
		if n != 1 || !b.paid[key] {
			r.Violate("money", "the bank moved %s %d times, paid: %v", key, n, b.paid[key])
		}
	}
	return r, nil
}
