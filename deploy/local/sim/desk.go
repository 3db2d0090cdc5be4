package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams/business"
)

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// maxSilence bounds how long a lost answer holds a connection whose client
// never gives up.
const maxSilence = time.Minute

// Config is how a simulated server starts.
type Config struct {
	Faults  Faults
	Journal string // path of the file that its state survives in; empty: none
}

type problem struct {
	Reason string `json:"reason"`
}

// request is a call that may be repeated: the same key asks for the same thing.
type request struct {
	Key  string          `json:"key"`
	Path string          `json:"path"`
	Body json.RawMessage `json:"body"`
}

// decided is the one answer that a key gets, as kept in the journal.
type decided struct {
	request
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer"`
}

// record is what the ledger shows of a key.
type record struct {
	Path    string          `json:"path"`
	Status  int             `json:"status"`
	Calls   int             `json:"calls"`   // since the start of this process
	Effects int             `json:"effects"` // how often it took effect: 0 if refused, never above 1
	body    [16]byte        // digest of the request's: a ledger of a long run stays small
	answer  json.RawMessage // the one and only
}

// desk answers each idempotency key once, and repeats itself after that.
type desk struct {
	*trouble
	waiting sync.WaitGroup // handlers
	closing chan struct{}
	close   sync.Once

	mu      sync.Mutex
	closed  bool
	journal *journal
	records map[string]*record
	other   business.Counterpart // whom the calls are for
}

func (d *desk) open(c Config) (err error) {
	d.records, d.closing = map[string]*record{}, make(chan struct{})
	if d.trouble, err = newTrouble(c.Faults); err != nil {
		return err
	}
	d.journal, err = openJournal(c.Journal, d.settle)
	return err
}

// settle files a decision and lets it take effect; d.mu is held, or nobody
// else is there yet.
func (d *desk) settle(x decided) error {
	r := &record{Path: x.Path, Status: x.Status, body: digest(x.Body), answer: x.Answer}
	d.records[x.Key] = r
	if x.Status != http.StatusCreated {
		return nil
	}
	r.Effects++
	return d.other.Settle(d.call(x.request), x.Answer)
}

// call is a request as the counterpart is told of it.
func (d *desk) call(q request) business.Call {
	return business.Call{Path: q.Path, Key: q.Key, Body: q.Body, Refuses: func(kind string) bool { return d.refuses(kind, q.Key) }}
}

func digest(body []byte) (d [16]byte) {
	sum := sha256.Sum256(body)
	copy(d[:], sum[:])
	return d
}

// Close answers what is under way, cuts off who would wait for ever, and closes
// the journal. Calls after it are answered 503.
func (d *desk) Close() error {
	d.close.Do(func() {
		d.mu.Lock()
		d.closed = true
		d.mu.Unlock()
		close(d.closing)
	})
	d.waiting.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.journal.close()
	d.journal = &journal{}
	return err
}

func (d *desk) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.waiting.Add(1)
	}
	return !d.closed
}

// pause waits, and reports whether the caller is still to be served.
func (d *desk) pause(ctx context.Context, wait time.Duration) bool {
	if wait == 0 {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-d.closing:
	}
	return false
}

// ServeHTTP serves one call, with the faults of the hour.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.enter() {
		answer(w, http.StatusServiceUnavailable, problem{"closing"})
		return
	}
	defer d.waiting.Done()
	m := d.draw()
	if m.down {
		panic(http.ErrAbortHandler) // cuts the connection
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		answer(w, http.StatusBadRequest, problem{"body cannot be read: " + err.Error()})
		return
	}
	if !d.pause(r.Context(), m.before) {
		panic(http.ErrAbortHandler)
	}
	if m.fails {
		answer(w, http.StatusServiceUnavailable, problem{"out of order, try again"})
		return
	}
	status, reply := d.once(request{r.Header.Get("Idempotency-Key"), r.URL.Path, body})
	if m.lost {
		d.pause(r.Context(), maxSilence)
		panic(http.ErrAbortHandler)
	}
	if !d.pause(r.Context(), m.after) {
		panic(http.ErrAbortHandler)
	}
	answer(w, status, reply)
}

// once decides about a new key, and repeats the answer to a known one.
func (d *desk) once(q request) (int, any) {
	var compact bytes.Buffer
	if q.Key == "" {
		return http.StatusBadRequest, problem{"the Idempotency-Key header is missing"}
	}
	if p := edge.CheckJSON(q.Body); p != nil {
		return http.StatusBadRequest, problem{p.Detail}
	}
	if err := json.Compact(&compact, q.Body); err != nil {
		return http.StatusBadRequest, problem{"the body is not JSON: " + err.Error()}
	}
	q.Body = compact.Bytes()
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.records[q.Key]; r != nil {
		r.Calls++
		if r.Path != q.Path || r.body != digest(q.Body) {
			return http.StatusConflict, problem{"the key " + q.Key + " was used for another request"}
		}
		return r.Status, r.answer
	}
	status, reply := d.other.Decide(d.call(q))
	if status >= 400 && status != http.StatusPaymentRequired && status != http.StatusUnprocessableEntity {
		return status, reply // the caller's fault; the key stays free
	}
	b, err := json.Marshal(reply)
	x := decided{q, status, b}
	if err = errors.Join(err, d.journal.append(x)); err == nil {
		err = d.settle(x)
	}
	if err != nil {
		return http.StatusInternalServerError, problem{err.Error()}
	}
	d.records[q.Key].Calls++
	return status, x.Answer
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who hung up will ask again
}
