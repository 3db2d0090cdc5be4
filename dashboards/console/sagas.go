package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
)

// sagaRow is a saga in a list, with the order that it is about, if any.
type sagaRow struct {
	projection.Saga
	Order *projection.Order
	State string
	Class string
	Took  time.Duration // so far, if it runs
}

// row judges a saga by what became of its order.
func (c *Console) row(s projection.Saga, o *projection.Order) sagaRow {
	r := sagaRow{Saga: s, Order: o, State: s.State, Took: c.Now().Sub(s.Started)}
	if s.State == projection.Ended {
		r.Took = s.Ended.Sub(s.Started)
	}
	if o != nil {
		r.State = o.State
		switch {
		case o.Closed && o.Outcome != "":
			r.State = o.Outcome
		case o.State == "cancelled":
			r.State = "compensating"
		}
	}
	if s.State == projection.Running && c.Now().After(s.Due) {
		r.State = "late"
	}
	r.Class = tone(r.State)
	return r
}

// orderOf is the order that a saga's first event is about.
func orderOf(s projection.Saga) (string, bool) { return strings.CutPrefix(s.Subject, "order/") }

// rows adds their orders to sagas, each by its primary key.
func (c *Console) rows(ctx context.Context, sagas []projection.Saga) ([]sagaRow, error) {
	out := make([]sagaRow, 0, len(sagas))
	for _, s := range sagas {
		var order *projection.Order
		if id, ok := orderOf(s); ok {
			o, err := c.Reads.Order(ctx, id)
			if err == nil {
				order = &o
			} else if !errors.Is(err, projection.ErrNotFound) {
				return nil, err
			}
		}
		out = append(out, c.row(s, order))
	}
	return out, nil
}

// sagaStates are the choices of the list, and what they are called.
var sagaStates = []struct{ State, Name string }{{"", "All"}, {"running", "Running"}, {"stuck", "Stuck"}, {"ended", "Ended"}, {"cancelled", "Cancelled"}}

// sagasBody is the list.
type sagasBody struct {
	Query, State string
	Choices      []choice
	Rows         []sagaRow
	Stuck        []stuckGroup // instead of rows
	More         bool         // running sagas that were not looked at
	Next         string       // path of the next page
	Paged        bool
	Trouble      string
}

type choice struct {
	Name, Path string
	Current    bool
}

func (c *Console) sagaList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b := sagasBody{Query: strings.TrimSpace(q.Get("q")), State: q.Get("state"), Paged: q.Has("page")}
	for _, s := range sagaStates {
		b.Choices = append(b.Choices, choice{s.Name, listPath(b.Query, s.State, ""), s.State == b.State})
	}
	if !slices.ContainsFunc(b.Choices, func(x choice) bool { return x.Current }) {
		b.Trouble = "No state is called so. Choose one of those above."
		c.show(w, r, http.StatusBadRequest, "sagas", frame{Title: "Sagas", At: "sagas", Body: b})
		return
	}
	if b.Query != "" && !b.Paged {
		path, err := c.exactly(r.Context(), b.Query)
		if err != nil {
			c.broken(w, r, err)
			return
		}
		if path != "" {
			http.Redirect(w, r, path, http.StatusSeeOther)
			return
		}
	}
	next, err := c.find(r.Context(), &b, q.Get("page"))
	status := http.StatusOK
	switch {
	case errors.Is(err, projection.ErrPage):
		status, b.Trouble = http.StatusBadRequest, "The address of this page is damaged. Begin with the newest."
	case err != nil:
		c.broken(w, r, err)
		return
	case next != "":
		b.Next = listPath(b.Query, b.State, next)
	}
	c.show(w, r, status, "sagas", frame{Title: "Sagas", At: "sagas", Live: !b.Paged && b.Query == "", Body: b})
}

func listPath(query, state, page string) string {
	q := url.Values{}
	for k, v := range map[string]string{"q": query, "state": state, "page": page} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if len(q) == 0 {
		return "/sagas"
	}
	return "/sagas?" + q.Encode()
}

// exactly is the page of the order, the correlation or the trace of this name,
// if there is one.
func (c *Console) exactly(ctx context.Context, name string) (path string, err error) {
	if _, err = c.Reads.Order(ctx, name); err == nil {
		return "/orders/" + url.PathEscape(name), nil
	}
	if !errors.Is(err, projection.ErrNotFound) {
		return "", err
	}
	if _, err = c.Reads.Saga(ctx, name); err == nil {
		return "/sagas/" + url.PathEscape(name), nil
	}
	if !errors.Is(err, projection.ErrNotFound) {
		return "", err
	}
	id := strings.ToLower(name)
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return "", nil
	}
	if spans, _ := c.spansOf(ctx, id); len(spans) > 0 { // if Jaeger does not answer, the list says so
		return tracePath(id, ""), nil
	}
	return "", nil
}

// find fills the list: of a customer, by the state of the order, or of all.
func (c *Console) find(ctx context.Context, b *sagasBody, page string) (next string, err error) {
	if b.Query != "" || b.State == "cancelled" {
		return c.findOrders(ctx, b, page)
	}
	if b.State == "stuck" {
		rows, more, err := c.stuck(ctx)
		b.Stuck, b.More = alike(rows), more
		return "", err
	}
	found, err := c.Reads.Sagas(ctx, projection.SagaFilter{State: b.State, Page: page})
	if err == nil {
		b.Rows, err = c.rows(ctx, found.Items)
	}
	return found.Next, err
}

// findOrders lists a customer's orders, or the cancelled ones, with their sagas.
func (c *Console) findOrders(ctx context.Context, b *sagasBody, page string) (next string, err error) {
	state := ""
	if b.State == "cancelled" {
		state = "cancelled"
	}
	found, err := c.Reads.Orders(ctx, b.Query, state, page)
	if err != nil {
		return "", err
	}
	for _, o := range found.Items {
		sagas, err := c.Reads.Saga(ctx, o.Correlation)
		if err != nil && !errors.Is(err, projection.ErrNotFound) {
			return "", err
		}
		s := projection.Saga{Correlation: o.Correlation, State: projection.Running, Started: o.PlacedAt, Due: c.Now(), Last: "pruned"}
		if o.Closed {
			s.State, s.Ended = projection.Ended, o.ClosedAt
		}
		if len(sagas) > 0 {
			s = sagas[0]
		}
		if r := c.row(s, &o); b.State == "" || b.State == "cancelled" || b.State == s.State || b.State == r.State {
			b.Rows = append(b.Rows, r)
		}
	}
	return found.Next, nil
}
