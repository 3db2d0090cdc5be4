package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// Letter is a parked input as the interface shows it: without what the fields of its
// type declare as personal, also in its reason.
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
	Data        string    `json:"data,omitempty"` // the first part of its body
}

// Letters answers GET /v1/dead-letters: a page of them, and where the next one
// begins; empty if there is none.
type Letters struct {
	DeadLetters []Letter `json:"dead_letters"`
	Next        string   `json:"next,omitempty"`
}

const (
	maxLetters     = 1000 // of a page
	defaultLetters = 100
)

// letterPage is which parked inputs to list: those after a place, in the order of
// services, lanes and their sequence.
type letterPage struct {
	service string // where it begins
	lane    int32
	seq     int64
	limit   int
}

func (g letterPage) String() string { return fmt.Sprintf("%s~%d~%d", g.service, g.lane, g.seq) }

// readPage reads limit and page of a query.
func readPage(q url.Values) (g letterPage, err error) {
	g.limit = defaultLetters
	if v := q.Get("limit"); v != "" {
		if g.limit, err = strconv.Atoi(v); err != nil || g.limit < 1 || g.limit > maxLetters {
			return g, fmt.Errorf("limit %q is not a number from 1 to %d", v, maxLetters)
		}
	}
	if v := q.Get("page"); v != "" {
		parts := strings.Split(v, "~")
		if len(parts) != 3 {
			return g, fmt.Errorf("page %q is none that was answered as next", v)
		}
		lane, err1 := strconv.ParseInt(parts[1], 10, 32)
		seq, err2 := strconv.ParseInt(parts[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return g, fmt.Errorf("page %q is none that was answered as next", v)
		}
		g.service, g.lane, g.seq = parts[0], int32(lane), seq
	}
	return g, nil
}

// parked lists what a service that runs here has parked, of one stream, or of all
// for a zero one; next begins after the last of them if there may be more.
func (p *platform) parked(ctx context.Context, service string, stream streams.StreamID, g letterPage) (l Letters, err error) {
	l.DeadLetters = []Letter{}
	for lane, after := g.lane, g.seq; lane < p.Config.Partitions; lane, after = lane+1, 0 {
		rows, err := p.stores[service].Parked(ctx, lane, stream, after, g.limit-len(l.DeadLetters))
		if err != nil {
			return l, err
		}
		for _, r := range rows {
			l.DeadLetters = append(l.DeadLetters, p.letter(service, r))
			after = r.Seq
		}
		if len(l.DeadLetters) >= g.limit {
			l.Next = letterPage{service: service, lane: lane, seq: after}.String()
			break
		}
	}
	return l, nil
}

// maxData is how much of a letter's data is shown, in bytes.
const maxData = 4096

func (p *platform) letter(service string, r streams.ParkedInput) Letter {
	data, reason, stack := p.topology.ShowParked(r)
	if len(data) > maxData {
		data = strings.ToValidUTF8(data[:maxData], "") + "…"
	}
	return Letter{service, r.Stream.Decider, r.Stream.Key, string(r.Kind), r.Name, r.ID, r.From, r.At, reason, stack, r.Origin.Correlation, r.Origin.Traceparent, data}
}

// letters lists what a service has parked, wherever it runs.
func (p *platform) letters(ctx context.Context, service string, stream streams.StreamID, g letterPage) (l Letters, err error) {
	if p.stores[service] != nil {
		return p.parked(ctx, service, stream, g)
	}
	q := url.Values{"limit": {strconv.Itoa(g.limit)}}
	if g.service != "" {
		q.Set("page", g.String())
	}
	path := "/v1/dead-letters"
	if stream == (streams.StreamID{}) {
		q.Set("service", service)
	} else {
		path = LettersPath(service, stream)
	}
	err = p.ask(ctx, service, http.MethodGet, path+"?"+q.Encode(), &l)
	var refused *edge.Problem
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return Letters{}, nil // nothing of that key
	}
	return l, err
}

// LettersPath is where a parked key is found in the interface.
func LettersPath(service string, s streams.StreamID) string {
	return "/v1/dead-letters/" + url.PathEscape(service) + "/" + url.PathEscape(s.Decider) + "/" + url.PathEscape(s.Key)
}

// allLetters lists what every service has parked, or one if it is named.
func (p *platform) allLetters(ctx context.Context, service string, g letterPage) (Letters, error) {
	out := Letters{DeadLetters: []Letter{}}
	for _, s := range p.topology.Services {
		if service != "" && s.Name != service || g.service != "" && s.Name != g.service {
			continue // another one's, or on pages before
		}
		l, err := p.letters(ctx, s.Name, streams.StreamID{}, g)
		if err != nil {
			return out, fmt.Errorf("service %s: %w", s.Name, err)
		}
		out.DeadLetters = append(out.DeadLetters, l.DeadLetters...)
		g = letterPage{limit: g.limit - len(l.DeadLetters)}
		if out.Next = l.Next; out.Next != "" || g.limit <= 0 {
			break
		}
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
	g, err := readPage(r.URL.Query())
	if err != nil {
		badPage(w, err)
		return
	}
	l, err := d.allLetters(forwardedContext(r), r.URL.Query().Get("service"), g)
	answerLetters(w, l, err)
}

func stream(r *http.Request) streams.StreamID {
	return streams.StreamID{Decider: r.PathValue("decider"), Key: r.PathValue("key")}
}

func (d *deadLetters) show(w http.ResponseWriter, r *http.Request) {
	g, err := readPage(r.URL.Query())
	if err != nil {
		badPage(w, err)
		return
	}
	l, err := d.letters(forwardedContext(r), r.PathValue("service"), stream(r), g)
	if err == nil && len(l.DeadLetters) == 0 && g.service == "" {
		(&edge.Problem{Code: "not-parked", Status: http.StatusNotFound, Detail: "nothing of this key is parked"}).Write(w)
		return
	}
	answerLetters(w, l, err)
}

func badPage(w http.ResponseWriter, err error) {
	(&edge.Problem{Code: "invalid-query", Status: http.StatusBadRequest, Detail: err.Error()}).Write(w)
}

func answerLetters(w http.ResponseWriter, l Letters, err error) {
	if err != nil {
		(&edge.Problem{Code: "store", Status: http.StatusServiceUnavailable, Detail: "the parked inputs cannot be read now: " + err.Error(), RetryAfter: 1}).Write(w)
		return
	}
	edge.JSON(w, http.StatusOK, l)
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
