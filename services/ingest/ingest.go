// Package ingest is the entrance for events from outside: CloudEvents 1.0 over
// HTTP, in binary, structured and batch mode, onto the log. It takes only
// types that are declared external, so that nobody posts what only services tell.
package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// Path is where events are posted.
const Path = "/v1/events"

// MaxBatch bounds the events of one request.
const MaxBatch = 1000

// Media types of the modes.
const (
	plainType      = "application/json" // binary mode: the attributes are headers
	structuredType = "application/cloudevents+json"
	batchType      = "application/cloudevents-batch+json"
)

// Config is what ingestion needs.
type Config struct {
	Client     []kgo.Opt // brokers, dialer, TLS; producing is set up here
	Topology   *streams.Topology
	Partitions int32
	Commands   streams.Commands // to the register of sources and ids
	Timeout    time.Duration    // to wait for the log; 10 s if 0
	Now        func() time.Time // for events without a time; time.Now if nil
	Limit      edge.Limit       // of requests, however many events they have
	Trace      edge.Trace       // optional
	// Count hears of every event and what became of it, "repeated" if it had been
	// accepted before; optional. The type is empty if it is none that may be posted, the
	// age that which the sender's time gives it, below 0 if there is none.
	Count func(client, eventType string, s Status, age time.Duration)
}

// Handler serves Path.
type Handler struct {
	http.Handler
	cfg      Config
	log      *kgo.Client
	register *streams.Register
}

// New makes the handler. Close it when its server is shut down.
func New(cfg Config) (*Handler, error) {
	if cfg.Topology == nil || cfg.Partitions < 1 || cfg.Commands == nil {
		return nil, errors.New("ingestion needs a topology, a partition count and commands")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Count == nil {
		cfg.Count = func(string, string, Status, time.Duration) {}
	}
	log, err := kgo.NewClient(append(cfg.Client[:len(cfg.Client):len(cfg.Client)],
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.UnknownTopicRetries(-1))...) // a topic that was just made is not known everywhere; Timeout bounds the wait
	if err != nil {
		return nil, fmt.Errorf("no Kafka client for ingestion: %w", err)
	}
	h := &Handler{cfg: cfg, log: log, register: streams.NewRegister(cfg.Commands, cfg.Topology, cfg.Partitions)}
	h.Handler = cfg.Trace.Handler(func(*http.Request) string { return Path }, edge.Methods{http.MethodPost: cfg.Limit.Handler(h.post)})
	return h, nil
}

// Close waits for nothing: whoever has no answer yet sends again.
func (h *Handler) Close() { h.log.Close() }

// Result is what became of one event of a request.
type Result struct {
	Source string `json:"source,omitempty"`
	ID     string `json:"id,omitempty"`
	Status Status `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Status of one event.
type Status string

// What becomes of an event. Sending it again is harmless in every case: source
// and id tell the repeat.
const (
	Accepted    Status = "accepted"    // the log has it, on all replicas in sync
	Refused     Status = "refused"     // it will never be taken as it is
	Conflict    Status = "conflict"    // its source and id were given to another event
	Unavailable Status = "unavailable" // the log did not answer: send it again
)

func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	posted, p := parse(w, r)
	if p != nil {
		p.Write(w)
		return
	}
	results := make([]Result, len(posted))
	recs := make([]*kgo.Record, len(posted))
	for i := range posted {
		results[i] = Result{Source: posted[i].text("source"), ID: posted[i].text("id"), Status: Accepted}
		rec, err := h.record(posted[i], edge.Traceparent(r))
		if err != nil {
			results[i].Status, results[i].Detail = Refused, err.Error()
		}
		recs[i] = rec
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	repeated := h.name(ctx, recs, results)
	h.produce(ctx, recs, results)
	h.count(edge.Client(r), posted, results, repeated)
	answer(w, results)
}

// repeat is what is counted of an event that was accepted before: its sender is
// told that it is accepted, and nobody waits for it.
const repeat Status = "repeated"

// Results are what Count hears.
func Results() []string {
	return []string{string(Accepted), string(repeat), string(Refused), string(Conflict), string(Unavailable)}
}

func (h *Handler) count(client string, events []posted, results []Result, repeated []bool) {
	now := h.cfg.Now()
	for i := range results {
		name := events[i].attrs["type"]
		if f, ok := h.cfg.Topology.Vocabulary.Fact(name); !ok || !f.External {
			name = ""
		}
		result, age := results[i].Status, time.Duration(-1)
		if at, err := events[i].time(now); err == nil && events[i].attrs["time"] != "" && result == Accepted {
			age = max(now.Sub(at), 0)
		}
		if result == Accepted && repeated[i] {
			result = repeat
		}
		h.cfg.Count(client, name, result, age)
	}
}

// name registers the events' sources and ids, takes away the records of those that
// another event has already, and tells which were sent before.
func (h *Handler) name(ctx context.Context, recs []*kgo.Record, results []Result) (repeated []bool) {
	var names []streams.Name
	var which []int
	for i, rec := range recs {
		if rec == nil {
			continue
		}
		env, err := streams.ReadEnvelope(rec)
		if err != nil { // not of those that record makes
			results[i].Status, results[i].Detail, recs[i] = Refused, err.Error(), nil
			continue
		}
		names = append(names, streams.Name{Scope: "event " + env.Source, ID: env.ID, Digest: streams.EventDigest(env.Type, env.Key, env.Data)})
		which = append(which, i)
	}
	repeated = make([]bool, len(recs))
	states, err := h.register.Take(ctx, names)
	for n, i := range which {
		switch {
		case err != nil:
			results[i].Status, results[i].Detail, recs[i] = Unavailable, "whether its source and id are another event's is not known now: send it again, with the same source and id", nil
		case states[n] == streams.NameTaken:
			results[i].Status, results[i].Detail, recs[i] = Conflict, "another event was sent with this source and id: give this one an id of its own", nil
		case states[n] == streams.NameRepeated:
			repeated[i] = true
		}
	}
	return repeated
}

// produce sends the records that are not nil and waits for each, until ctx ends: the
// client goes on with one that a broker may have taken, for as long as that is away.
func (h *Handler) produce(ctx context.Context, recs []*kgo.Record, results []Result) {
	type taken struct {
		i   int
		err error
	}
	done := make(chan taken, len(recs))
	sent := 0
	for i, rec := range recs {
		if rec == nil {
			continue
		}
		sent++
		results[i].Status, results[i].Detail = verdict(context.DeadlineExceeded)
		h.log.Produce(ctx, rec, func(_ *kgo.Record, err error) { done <- taken{i, err} })
	}
	for range sent {
		select {
		case x := <-done:
			results[x.i].Status, results[x.i].Detail = verdict(x.err)
		case <-ctx.Done():
			return
		}
	}
}

func verdict(err error) (Status, string) {
	switch {
	case err == nil:
		return Accepted, ""
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return Refused, "the event is larger than the log takes: send less data"
	}
	return Unavailable, "the log did not take the event in time: send it again, with the same source and id"
}

// answer sums the results up: 202 if all were accepted, 503 if any should be
// sent again, 409 if all were conflicts, 422 if none was accepted, else 207.
func answer(w http.ResponseWriter, results []Result) {
	count := map[Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	more := map[string]any{"results": results}
	switch {
	case count[Unavailable] > 0:
		(&edge.Problem{Code: "log-unavailable", Status: http.StatusServiceUnavailable, RetryAfter: 1, More: more,
			Detail: fmt.Sprintf("%d of %d events are not known to be on the log: send them again, with the same source and id", count[Unavailable], len(results))}).Write(w)
	case count[Accepted] == len(results):
		edge.JSON(w, http.StatusAccepted, more)
	case count[Conflict] == len(results):
		(&edge.Problem{Code: "event-conflict", Status: http.StatusConflict, More: more, Detail: results[0].Detail}).Write(w)
	case count[Accepted] == 0:
		(&edge.Problem{Code: "events-refused", Status: http.StatusUnprocessableEntity, More: more, Detail: results[0].Detail}).Write(w)
	default:
		edge.JSON(w, http.StatusMultiStatus, more)
	}
}

// parse reads the request in its mode. A problem concerns the request as a
// whole; what is wrong with one event is found later.
func parse(w http.ResponseWriter, r *http.Request) ([]posted, *edge.Problem) {
	mode, p := edge.MediaType(r, plainType, structuredType, batchType)
	if p != nil {
		return nil, p
	}
	body, p := edge.Body(w, r)
	if p != nil {
		return nil, p
	}
	if mode == batchType { // one event that is ambiguous is refused alone
		if p := edge.CheckSyntax(body); p != nil {
			return nil, p
		}
		return fromArray(body)
	}
	if p := edge.CheckJSON(body); p != nil {
		return nil, p
	}
	if mode == plainType {
		return one(fromHeaders(r.Header, body))
	}
	return one(fromObject(body))
}

func one(e posted, err error) ([]posted, *edge.Problem) {
	if err != nil {
		return nil, &edge.Problem{Code: "malformed-event", Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return []posted{e}, nil
}

func fromArray(body []byte) ([]posted, *edge.Problem) {
	var objects []json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) || json.Unmarshal(body, &objects) != nil {
		return nil, &edge.Problem{Code: "malformed-event", Status: http.StatusBadRequest, Detail: "a batch is a JSON array of events"}
	}
	if len(objects) > MaxBatch {
		return nil, &edge.Problem{Code: "batch-too-large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the batch has %d events, at most %d are taken: split it", len(objects), MaxBatch)}
	}
	out := make([]posted, len(objects))
	for i, o := range objects {
		e, err := fromObject(o)
		if err == nil {
			err = edge.CheckMembers(o)
		}
		e.err = err // of this event only
		out[i] = e
	}
	return out, nil
}
