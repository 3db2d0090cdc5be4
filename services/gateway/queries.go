package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// aged has an answer say how old it may be. It is told before the rows are read:
// they are never older than it says.
func (g *gateway) aged(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		says := "unknown"
		if age, known := g.Age(); known {
			says = strconv.FormatInt(int64(math.Ceil(age.Seconds())), 10)
		}
		w.Header().Set(AgeHeader, says)
		if !askable(r) {
			badQuery("the path or the query is not UTF-8 or holds control characters: nothing is called so").Write(w)
			return
		}
		h(w, r)
	}
}

// askable refuses what no name can hold: a store would fail at it, and that is not
// to look like an outage.
func askable(r *http.Request) bool {
	fine := func(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }
	query, err := url.QueryUnescape(r.URL.RawQuery)
	return fine(r.URL.Path) && (err != nil || fine(query)) // which is told elsewhere
}

// Skipped answers GET /v1/skipped.
type Skipped struct {
	Items []projection.Skipped `json:"items"`
}

func (g *gateway) skipped(w http.ResponseWriter, r *http.Request) {
	if _, p := g.ready(r); p != nil {
		p.Write(w)
		return
	}
	items, err := g.Reads.Skips(r.Context())
	g.answer(w, r, Skipped{items}, err)
}

// list answers with a page of a view's documents.
func (g *gateway) list(v *business.View) http.HandlerFunc {
	filters := filtersOf(v)
	return func(w http.ResponseWriter, r *http.Request) {
		q, p := g.ready(r, append(slices.Clone(filters), "page")...)
		if p == nil {
			p = checkFilters(v, q)
		}
		if p != nil {
			p.Write(w)
			return
		}
		filter := map[string]string{}
		for _, name := range filters {
			if value := q.Get(name); value != "" {
				filter[name] = value
			}
		}
		page, err := g.Reads.Documents(r.Context(), v, filter, q.Get("page"))
		out := projection.Page[json.RawMessage]{Items: make([]json.RawMessage, len(page.Items)), Next: page.Next}
		for i, d := range page.Items {
			out.Items[i] = projection.JSON(v, d)
		}
		g.answer(w, r, out, err)
	}
}

// filtersOf are the fields that documents can be chosen by.
func filtersOf(v *business.View) (out []string) {
	for _, f := range v.All() {
		if f.Filter {
			out = append(out, f.Name)
		}
	}
	return out
}

// checkFilters refuses values that no document can have.
func checkFilters(v *business.View, q url.Values) *edge.Problem {
	for _, f := range v.All() {
		there := f.Enum
		if f.Kind == business.State {
			there = v.States
		}
		if value := q.Get(f.Name); f.Filter && value != "" && there != nil && !slices.Contains(there, value) {
			return badQuery(f.Name + " is none of " + strings.Join(there, ", "))
		}
	}
	return nil
}

// show answers with one document.
func (g *gateway) show(v *business.View) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, p := g.ready(r)
		if p != nil {
			p.Write(w)
			return
		}
		key := r.PathValue(v.One)
		if g.Documents != nil && token(r, q) == "" && business.KeyRule.MatchString(key) {
			body, err := g.cachedDocument(r.Context(), v, key)
			g.answer(w, r, body, err)
			return
		}
		d, err := g.Reads.Document(r.Context(), v, key)
		g.answer(w, r, projection.JSON(v, d), err)
	}
}

// history answers with the events of a document: {ONE: key, "events": […]}.
func (g *gateway) history(v *business.View) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, p := g.ready(r); p != nil {
			p.Write(w)
			return
		}
		key := r.PathValue(v.One)
		events, err := g.Reads.History(r.Context(), v.Key.Kind(), key)
		if err == nil && len(events) == 0 {
			_, err = g.Reads.Document(r.Context(), v, key) // known, and its history pruned?
		}
		g.answer(w, r, map[string]any{v.One: key, "events": events}, err)
	}
}

func (g *gateway) sagas(w http.ResponseWriter, r *http.Request) {
	q, p := g.ready(r, "saga", "state", "page")
	if p != nil {
		p.Write(w)
		return
	}
	if s := q.Get("state"); s != "" && s != projection.Running && s != projection.Ended {
		badQuery("state is neither " + projection.Running + " nor " + projection.Ended).Write(w)
		return
	}
	page, err := g.Reads.Sagas(r.Context(), projection.SagaFilter{Name: q.Get("saga"), State: q.Get("state"), Page: q.Get("page")})
	g.answer(w, r, page, err)
}

// Saga answers GET /v1/sagas/{correlation}.
type Saga struct {
	Correlation string             `json:"correlation"`
	Sagas       []projection.Saga  `json:"sagas"`
	Events      []projection.Entry `json:"events"`
}

func (g *gateway) saga(w http.ResponseWriter, r *http.Request) {
	if _, p := g.ready(r); p != nil {
		p.Write(w)
		return
	}
	s := Saga{Correlation: r.PathValue("correlation")}
	var err error
	if s.Sagas, err = g.Reads.Saga(r.Context(), s.Correlation); err == nil {
		s.Events, err = g.Reads.Events(r.Context(), s.Correlation)
	}
	g.answer(w, r, s, err)
}

// ready checks the query's parameters and waits until the read model holds
// what the caller wrote before.
func (g *gateway) ready(r *http.Request, allowed ...string) (url.Values, *edge.Problem) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badQuery("the query cannot be read: " + err.Error())
	}
	allowed = append(allowed, "after")
	for name, values := range q {
		if !slices.Contains(allowed, name) || len(values) > 1 {
			return nil, badQuery("parameter " + strconv.Quote(name) + " is not known here or given twice: there are " + strings.Join(allowed, ", "))
		}
	}
	if t := token(r, q); t != "" {
		return q, g.await(r.Context(), t)
	}
	return q, nil
}

// token is what the caller wants to see in the answer, or empty.
func token(r *http.Request, q url.Values) string {
	if q.Has("after") {
		return q.Get("after")
	}
	return r.Header.Get(TokenHeader)
}

func (g *gateway) await(ctx context.Context, token string) *edge.Problem {
	if !g.ours(token) {
		return badQuery("the token is not one of " + TokenHeader + "'s: send it back as it was answered")
	}
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, g.Wait)
	defer cancel()
	err := g.Reads.Await(within, token)
	if err != nil && !errors.Is(err, projection.ErrNotYet) && ctx.Err() == nil {
		return g.broken(ctx, err) // a store that does not answer is not what was asked to wait for
	}
	edge.Waited(ctx, began)
	if err != nil {
		return notYet()
	}
	return nil
}

// notYet is no failure of the platform: anybody can ask for what will never be. How
// far the read model is behind is promised, and measured, by itself.
func notYet() *edge.Problem {
	return &edge.Problem{Code: "not-yet", Status: http.StatusPreconditionFailed, RetryAfter: 1,
		Detail: "what the token names has not reached the read model yet: ask again, or without the token for what is there"}
}

// ours tells whether a token can be one that this platform gave away: of a topic and
// a lane of its writer that there are.
func (g *gateway) ours(token string) bool {
	t, err := projection.ParseToken(token)
	if err != nil {
		return false
	}
	parts := strings.Split(string(t.Lane), "/")
	if len(parts) != 3 {
		return false
	}
	lane, err := strconv.ParseInt(parts[1], 10, 32)
	writes := slices.ContainsFunc(g.Topology.Topics(), func(x streams.Topic) bool {
		s, _, ok := g.Topology.Decider(x.Writer)
		return x.Name == t.Topic && ok && s.Name == parts[0]
	})
	return err == nil && writes && lane >= 0 && lane < int64(g.Partitions)
}

func badQuery(detail string) *edge.Problem {
	return &edge.Problem{Code: "invalid-query", Status: http.StatusBadRequest, Detail: detail}
}

// broken is the one refusal whose cause is not the caller's to know.
func (g *gateway) broken(ctx context.Context, err error) *edge.Problem {
	g.Log.ErrorContext(ctx, "the read model cannot be read", "error", err)
	return &edge.Problem{Code: "read-model-unavailable", Status: http.StatusServiceUnavailable, RetryAfter: 5, Detail: "the read model cannot be read at the moment: try again"}
}

// answer writes what was found, or why it was not.
func (g *gateway) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	switch {
	case err == nil:
		w.Header().Set("Cache-Control", "no-store")
		edge.JSON(w, http.StatusOK, v)
	case errors.Is(err, projection.ErrNotFound):
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: err.Error() + ": if it was just written, send its " + TokenHeader}).Write(w)
	case errors.Is(err, projection.ErrPage):
		badQuery(err.Error()).Write(w)
	default:
		g.broken(r.Context(), err).Write(w)
	}
}
