package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// Letter is a parked input as the interface shows it. Its body stays in the
// store: it may hold what is nobody's business.
type Letter struct {
	Service     string    `json:"service"`
	Decider     string    `json:"decider"`
	Key         string    `json:"key"`
	Kind        string    `json:"kind"`
	Name        string    `json:"name"`
	ID          string    `json:"id"`
	From        string    `json:"from"`
	At          time.Time `json:"at"`
	Reason      string    `json:"reason,omitempty"` // empty: waits behind the failed one
	Stack       string    `json:"stack,omitempty"`
	Correlation string    `json:"correlation"`
	Traceparent string    `json:"traceparent,omitempty"`
}

// Letters answers GET /v1/dead-letters.
type Letters struct {
	DeadLetters []Letter `json:"dead_letters"`
}

const maxLetters = 1000 // of an answer

// parked lists what a service that runs here has parked: of one stream, or of
// all for a zero one.
func (p *platform) parked(ctx context.Context, service string, stream streams.StreamID) ([]Letter, error) {
	out := []Letter{}
	for lane := range p.Config.Partitions {
		rows, err := p.stores[service].Parked(ctx, lane, stream, 0, maxLetters-len(out))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			out = append(out, Letter{service, r.Stream.Decider, r.Stream.Key, string(r.Kind), r.Name, r.ID, r.From, r.At, r.Reason, r.Stack, r.Origin.Correlation, r.Origin.Traceparent})
		}
		if len(out) >= maxLetters {
			break
		}
	}
	return out, nil
}

// letters lists what a service has parked, wherever it runs.
func (p *platform) letters(ctx context.Context, service string, stream streams.StreamID) ([]Letter, error) {
	if p.stores[service] != nil {
		return p.parked(ctx, service, stream)
	}
	path := "/v1/dead-letters?service=" + url.QueryEscape(service)
	if stream != (streams.StreamID{}) {
		path = LettersPath(service, stream)
	}
	var l Letters
	err := p.ask(ctx, service, http.MethodGet, path, &l)
	var refused *edge.Problem
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, nil // nothing of that key
	}
	return l.DeadLetters, err
}

// LettersPath is where a parked key is found in the interface.
func LettersPath(service string, s streams.StreamID) string {
	return "/v1/dead-letters/" + url.PathEscape(service) + "/" + url.PathEscape(s.Decider) + "/" + url.PathEscape(s.Key)
}

// allLetters lists what every service has parked, or one if it is named.
func (p *platform) allLetters(ctx context.Context, service string) ([]Letter, error) {
	out := []Letter{}
	for _, s := range p.topology.Services {
		if service != "" && s.Name != service {
			continue
		}
		rows, err := p.letters(ctx, s.Name, streams.StreamID{})
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", s.Name, err)
		}
		out = append(out, rows...)
	}
	return out, nil
}

// unpark decides a parked key's inputs again, or drops the first of them, in
// the instance that owns its lane. It tells how many are left.
func (p *platform) unpark(ctx context.Context, service string, stream streams.StreamID, verb string) (left int, err error) {
	if i := p.instances[service]; i != nil {
		do := map[string]func(context.Context, streams.StreamID) (int, error){retry: i.RetryParked, drop: i.DropParked}[verb]
		if left, err = do(ctx, stream); !errors.Is(err, streams.ErrNotOwned) || p.broker != nil {
			return left, err
		}
	}
	var answer struct{ Left int }
	err = p.ask(ctx, service, http.MethodPost, LettersPath(service, stream)+"/"+verb, &answer)
	return answer.Left, err
}

// What a person does with a parked key.
const (
	retry = "retry"
	drop  = "drop"
)

// deadLetters is the interface to parked inputs.
type deadLetters struct{ *platform }

func (d *deadLetters) list(w http.ResponseWriter, r *http.Request) {
	rows, err := d.allLetters(forwardedContext(r), r.URL.Query().Get("service"))
	answerLetters(w, rows, err)
}

func stream(r *http.Request) streams.StreamID {
	return streams.StreamID{Decider: r.PathValue("decider"), Key: r.PathValue("key")}
}

func (d *deadLetters) show(w http.ResponseWriter, r *http.Request) {
	rows, err := d.letters(forwardedContext(r), r.PathValue("service"), stream(r))
	if err == nil && len(rows) == 0 {
		(&edge.Problem{Code: "not-parked", Status: http.StatusNotFound, Detail: "nothing of this key is parked"}).Write(w)
		return
	}
	answerLetters(w, rows, err)
}

func answerLetters(w http.ResponseWriter, rows []Letter, err error) {
	if err != nil {
		(&edge.Problem{Code: "store", Status: http.StatusServiceUnavailable, Detail: "the parked inputs cannot be read now: " + err.Error(), RetryAfter: 1}).Write(w)
		return
	}
	edge.JSON(w, http.StatusOK, Letters{rows})
}

func (d *deadLetters) act(w http.ResponseWriter, r *http.Request) {
	service, verb := r.PathValue("service"), r.PathValue("verb")
	if _, ok := d.topology.Service(service); !ok || verb != retry && verb != drop {
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "there is no such service, or a verb that is neither retry nor drop"}).Write(w)
		return
	}
	ctx, cancel := context.WithTimeout(forwardedContext(r), askTime)
	defer cancel()
	left, err := d.unpark(ctx, service, stream(r), verb)
	switch {
	case errors.Is(err, streams.ErrNotOwned):
		(&edge.Problem{Code: notOwned, Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	case err != nil:
		(&edge.Problem{Code: "not-possible", Status: http.StatusConflict, Detail: err.Error()}).Write(w)
	default:
		edge.JSON(w, http.StatusOK, map[string]any{"left": left})
	}
}
