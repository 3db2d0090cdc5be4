// Package sim simulates the outside world of the business: a payment provider,
// a carrier and a mailbox that can be made slow, forgetful and down, and that
// keep a ledger of what really happened, to audit the services against.
package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
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
	Seed          uint64  `json:"seed"`
	Down          bool    `json:"down"`           // connections are cut unread
	Errors        float64 `json:"errors"`         // rate of 503 (SMTP: 421) without acting
	Declines      float64 `json:"declines"`       // rate of authorisations declined, labels refused, mails refused for good (550)
	CaptureRefuse float64 `json:"capture_refuse"` // rate of captures refused; provider only
	Defers        float64 `json:"defers"`         // rate of mails put off (451); mailbox only
	Lost          float64 `json:"lost"`           // rate of calls that act and never answer
	Late          float64 `json:"late"`           // rate of calls that act and answer after LateMS
	LateMS        int     `json:"late_ms"`
	LatencyMS     int     `json:"latency_ms"` // of every call
	JitterMS      int     `json:"jitter_ms"`  // at most this much more, drawn per call
}

// Check reports a rate or time that makes no sense.
func (f Faults) Check() error {
	for name, r := range map[string]float64{"errors": f.Errors, "declines": f.Declines, "capture_refuse": f.CaptureRefuse,
		"defers": f.Defers, "lost": f.Lost, "late": f.Late} {
		if !(r >= 0 && r <= 1) {
			return fmt.Errorf("%s is %v: a rate lies within 0 and 1", name, r)
		}
	}
	if f.LateMS < 0 || f.LatencyMS < 0 || f.JitterMS < 0 {
		return fmt.Errorf("late_ms %d, latency_ms %d and jitter_ms %d cannot be negative", f.LateMS, f.LatencyMS, f.JitterMS)
	}
	return nil
}

// Flags lets a command line set the faults that a server starts with.
func (f *Faults) Flags(fs *flag.FlagSet) {
	fs.Uint64Var(&f.Seed, "seed", 1, "`number` that all chance follows from: the same seed declines the same keys")
	fs.BoolVar(&f.Down, "down", false, "start out of order: cut every connection")
	fs.Float64Var(&f.Errors, "errors", 0, "`rate` (0 to 1) of calls answered with a passing error, without acting")
	fs.Float64Var(&f.Declines, "declines", 0, "`rate` of definite refusals: payments declined, labels or mails refused")
	fs.Float64Var(&f.CaptureRefuse, "capture-refuse", 0, "`rate` of captures refused (provider only)")
	fs.Float64Var(&f.Defers, "defers", 0, "`rate` of mails put off until later (mailbox only)")
	fs.Float64Var(&f.Lost, "lost", 0, "`rate` of calls that are acted on and never answered")
	fs.Float64Var(&f.Late, "late", 0, "`rate` of calls that are acted on and answered after -late-ms")
	fs.IntVar(&f.LateMS, "late-ms", 5000, "how late a late answer is, in `milliseconds`")
	fs.IntVar(&f.LatencyMS, "latency-ms", 0, "how long every call takes, in `milliseconds`")
	fs.IntVar(&f.JitterMS, "jitter-ms", 0, "how much longer a call takes at most, in `milliseconds`")
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
func (t *trouble) refuses(rate float64, key string) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key)) // a hash takes everything
	return rand.New(rand.NewPCG(t.get().Seed, h.Sum64())).Float64() < rate
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
