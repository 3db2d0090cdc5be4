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
	"github.com/weirstream/weir/streams/business"
)

// sagaRow is a saga in a list, with the document that it is about, if any.
type sagaRow struct {
	projection.Saga
	About *subject
	State string
	Class string
	Took  time.Duration // so far, if it runs
}

// row judges a saga by what became of its subject.
func (c *Console) row(s projection.Saga, o *subject) sagaRow {
	r := sagaRow{Saga: s, About: o, State: s.State, Took: c.Now().Sub(s.Started)}
	if s.State == projection.Ended {
		r.Took = s.Ended.Sub(s.Started)
	}
	if o != nil {
		r.State = o.State
		switch {
		case !o.at("closed_at").IsZero() && o.text("outcome") != "":
			r.State = o.text("outcome")
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

// rows adds to sagas what they are about, each by its primary key.
func (c *Console) rows(ctx context.Context, sagas []projection.Saga) ([]sagaRow, error) {
	out := make([]sagaRow, 0, len(sagas))
	for _, s := range sagas {
		about, err := c.subjectOf(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, c.row(s, about))
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
	next, err := c.list(r.Context(), &b, q.Get("page"))
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

func documentPath(v *business.View, key string) string {
	return "/" + v.Name + "/" + url.PathEscape(key)
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

// exactly is the page of the document, the correlation or the trace of this name,
// if there is one.
func (c *Console) exactly(ctx context.Context, name string) (path string, err error) {
	for _, v := range c.subjectViews() {
		if about, err := c.find(ctx, v, name); about != nil || err != nil {
			return documentPath(v, name), err
		}
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

// list fills the list: of one whose documents they are, by their state, or of all.
func (c *Console) list(ctx context.Context, b *sagasBody, page string) (next string, err error) {
	if b.Query != "" || b.State == "cancelled" {
		return c.listDocuments(ctx, b, page)
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

// listDocuments lists the documents of the first saga's view with their sagas: whose they
// are, or the cancelled ones.
func (c *Console) listDocuments(ctx context.Context, b *sagasBody, page string) (next string, err error) {
	views := c.subjectViews()
	if len(views) == 0 {
		return "", nil
	}
	v, filter := views[0], map[string]string{}
	if by := chosenBy(v); by != "" {
		filter[by] = b.Query
	}
	if b.State == "cancelled" {
		filter["state"] = b.State
	}
	found, err := c.Reads.Documents(ctx, v, filter, page)
	if err != nil {
		return "", err
	}
	for _, d := range found.Items {
		o := &subject{v, d}
		sagas, err := c.Reads.Saga(ctx, o.Correlation)
		if err != nil && !errors.Is(err, projection.ErrNotFound) {
			return "", err
		}
		s := projection.Saga{Correlation: o.Correlation, State: projection.Running, Started: o.Begun, Due: c.Now(), Last: "pruned"}
		if closed := o.at("closed_at"); !closed.IsZero() {
			s.State, s.Ended = projection.Ended, closed
		}
		if len(sagas) > 0 {
			s = sagas[0]
		}
		if r := c.row(s, o); b.State == "" || b.State == "cancelled" || b.State == s.State || b.State == r.State {
			b.Rows = append(b.Rows, r)
		}
	}
	return found.Next, nil
}
