// Package sim simulates the outside world of a business: the HTTP endpoints that it
// declares, and mailboxes, which can be made slow, forgetful and down, and keep a
// ledger of what really happened, to audit the services against.
package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
)

// Faults are what goes wrong. Rates lie within 0 (never) and 1 (always).
// Refusals and declines follow from the seed and the idempotency key alone, so
// that every repeat of a request is told the same; the rest is drawn per call.
type Faults struct {
	Seed   uint64  `json:"seed"`
	Down   bool    `json:"down"`   // connections are cut unread
	Errors float64 `json:"errors"` // rate of 503 (SMTP: 421) without acting
	// Refuse are the rates of definite refusals, by their kinds: those that the endpoint
	// declares, and "refused" of mails (550).
	Refuse    map[string]float64 `json:"refuse"`
	Defers    float64            `json:"defers"` // rate of mails put off (451); mailbox only
	Lost      float64            `json:"lost"`   // rate of calls that act and never answer
	Late      float64            `json:"late"`   // rate of calls that act and answer after LateMS
	LateMS    int                `json:"late_ms"`
	LatencyMS int                `json:"latency_ms"` // of every call
	JitterMS  int                `json:"jitter_ms"`  // at most this much more, drawn per call
}

// Check reports a rate or time that makes no sense.
func (f Faults) Check() error {
	rates := map[string]float64{"errors": f.Errors, "defers": f.Defers, "lost": f.Lost, "late": f.Late}
	for kind, r := range f.Refuse {
		rates["refuse."+kind] = r
	}
	for name, r := range rates {
		if !(r >= 0 && r <= 1) {
			return fmt.Errorf("%s is %v: a rate lies within 0 and 1", name, r)
		}
	}
	if f.LateMS < 0 || f.LatencyMS < 0 || f.JitterMS < 0 {
		return fmt.Errorf("late_ms %d, latency_ms %d and jitter_ms %d cannot be negative", f.LateMS, f.LatencyMS, f.JitterMS)
	}
	return nil
}

// trouble holds the faults of one server and draws from them.
type trouble struct {
	mu     sync.Mutex
	faults Faults
	random *rand.Rand
}

func newTrouble(f Faults) (*trouble, error) {
	t := &trouble{}
	return t, t.set(f)
}

func (t *trouble) set(f Faults) error {
	if err := f.Check(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.random == nil || t.faults.Seed != f.Seed {
		t.random = rand.New(rand.NewPCG(f.Seed, 0))
	}
	t.faults = f
	return nil
}

func (t *trouble) get() Faults {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults
}

// mishap is what goes wrong with one call.
type mishap struct {
	down, fails, defers, lost bool
	before, after             time.Duration // waits around acting
}

func (t *trouble) draw() mishap {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.faults
	hit := func(rate float64) bool { return rate > 0 && t.random.Float64() < rate }
	m := mishap{down: f.Down, fails: hit(f.Errors), defers: hit(f.Defers), lost: hit(f.Lost)}
	m.before = time.Duration(f.LatencyMS) * time.Millisecond
	if f.JitterMS > 0 {
		m.before += time.Duration(t.random.Int64N(int64(f.JitterMS)+1)) * time.Millisecond
	}
	if hit(f.Late) {
		m.after = time.Duration(f.LateMS) * time.Millisecond
	}
	return m
}

// refuses decides for an idempotency key, always the same way.
func (t *trouble) refuses(kind, key string) bool {
	f := t.get()
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // a hash takes everything
	return rand.New(rand.NewPCG(f.Seed, h.Sum64())).Float64() < f.Refuse[kind]
}

// ServeHTTP shows the faults and, on POST, replaces all of them.
func (t *trouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if err := t.replace(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			answer(w, http.StatusBadRequest, problem{err.Error()})
			return
		}
	}
	answer(w, http.StatusOK, t.get())
}

// replace reads faults, all of them, and nothing that could be read in two ways.
func (t *trouble) replace(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if p := edge.CheckJSON(body); p != nil {
		return errors.New(p.Detail)
	}
	in := json.NewDecoder(bytes.NewReader(body))
	in.DisallowUnknownFields()
	var f Faults
	if err := in.Decode(&f); err != nil {
		return err
	}
	return t.set(f)
}
