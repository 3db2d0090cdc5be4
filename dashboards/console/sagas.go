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
	Back  bool          // something was taken back
	Took  time.Duration // so far, if it runs
}

// Key is what the saga is about.
func (r *sagaRow) Key() string {
	if r.About != nil {
		return r.About.Key
	}
	if _, key, ok := strings.Cut(r.Subject, "/"); ok && key != "" {
		return key
	}
	return r.Correlation
}

// row judges a saga by what became of its subject, and by types of its events as far as
// they are known.
func (c *Console) row(s projection.Saga, o *subject, types ...string) sagaRow {
	r := sagaRow{Saga: s, About: o, State: s.State, Took: c.Now().Sub(s.Started)}
	if s.State == projection.Ended {
		r.Took = s.Ended.Sub(s.Started)
	}
	if o != nil && o.State != "" {
		r.State = o.State
	}
	r.Back = c.declaredAs(s.Name).turnedBack(s, o, types...)
	switch {
	case s.State == projection.Running && c.Now().After(s.Due):
		r.State, r.Class = "late", severe
	case s.State == projection.Running && r.Back:
		r.State, r.Class = "compensating", warning
	case r.Back:
		r.Class = warning
		if r.State == projection.Ended {
			r.State = "taken back"
		}
	case s.State == projection.Ended && s.Name != "":
		r.Class = "ok"
	}
	return r
}

// columns are what a list of sagas says of their subjects: the names of what it shows.
type columns struct{ Key, Amount, Text string }

// sagaTable is a list of sagas.
type sagaTable struct {
	columns
	Rows []sagaRow
}

// columns of a saga's list, or of one of all: each is called as all who have it call it.
func (c *Console) columns(saga string) (out columns) {
	for _, d := range c.sagas {
		if saga != "" && d.Name != saga {
			continue
		}
		key := d.Starts.Key().Kind()
		if d.view != nil {
			key = fieldName(d.view.One)
			out.Amount = called(out.Amount, fieldName(amountOf(d.view)), "amount")
			out.Text = called(out.Text, fieldName(chosenBy(d.view)), "whose")
		}
		out.Key = called(out.Key, key, "about")
	}
	return out
}

// called is what two call something, and else what anybody would; empty if neither has it.
func called(one, other, otherwise string) string {
	switch {
	case one == "" || one == other:
		return other
	case other == "":
		return one
	}
	return otherwise
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

// choice is one of several lists.
type choice struct {
	Name, Path string
	Current    bool
}

// sagasBody is the list.
type sagasBody struct {
	Looks       string // what can be looked for
	Query       string
	Saga, State string
	Sagas       []choice // if there are several
	Choices     []choice // of states
	Table       sagaTable
	Stuck       []stuckGroup // instead of rows
	More        bool         // running sagas that were not looked at
	Newest      string       // path of the first page, from another one
	Next        string       // path of the next page
	None        bool         // no saga is declared
	Trouble     string
}

func (c *Console) sagaList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b := sagasBody{Looks: c.looks(), Query: queried(q, "q"), Saga: q.Get("saga"), State: q.Get("state"), None: len(c.sagas) == 0}
	c.choose(&b)
	chosen := func(x choice) bool { return x.Current }
	if !slices.ContainsFunc(b.Sagas, chosen) || !slices.ContainsFunc(b.Choices, chosen) {
		b.Trouble = "No saga or state is called so. Choose one of those above."
		c.show(w, r, http.StatusBadRequest, "sagas", frame{Title: "Sagas", At: "sagas", Body: b})
		return
	}
	if b.Query != "" {
		path, err := c.named(r.Context(), b.Query)
		switch {
		case err != nil:
			c.broken(w, r, err)
		case path != "":
			http.Redirect(w, r, path, http.StatusSeeOther)
		default:
			c.show(w, r, http.StatusOK, "sagas", frame{Title: "Sagas", At: "sagas", Body: b})
		}
		return
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
		b.Next = pathOf("/sagas", "saga", b.Saga, "state", b.State, "page", next)
	}
	if q.Has("page") {
		b.Newest = pathOf("/sagas", "saga", b.Saga, "state", b.State)
	}
	// Those taken back are looked for among many: not every two seconds, for each who looks.
	live := b.Newest == "" && b.State != takenBack
	c.show(w, r, status, "sagas", frame{Title: "Sagas", At: "sagas", Live: live, Body: b})
}

// choose fills in the choices: of sagas, and of the states that there are of them.
func (c *Console) choose(b *sagasBody) {
	b.Sagas = []choice{{"All sagas", pathOf("/sagas", "state", b.State), b.Saga == ""}}
	for i := range c.sagas {
		name := c.sagas[i].Name
		b.Sagas = append(b.Sagas, choice{name, pathOf("/sagas", "saga", name, "state", b.State), b.Saga == name})
	}
	for _, s := range []struct{ state, name string }{{"", "All"}, {projection.Running, "Running"}, {"stuck", "Stuck"}, {projection.Ended, "Ended"}, {takenBack, "Taken back"}} {
		b.Choices = append(b.Choices, choice{s.name, pathOf("/sagas", "saga", b.Saga, "state", s.state), s.state == b.State})
	}
}

// takenBack is the state of sagas of which an event of Undo happened.
const takenBack = "taken-back"

func documentPath(v *business.View, key string) string {
	return "/" + v.Name + "/" + url.PathEscape(key)
}

// pathOf is a path with those of these names and values that have one.
func pathOf(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// backPages bounds how many pages of sagas are looked through for those taken back: each
// page of the list is at most so many of the read model's.
const backPages = 10

// list fills the list.
func (c *Console) list(ctx context.Context, b *sagasBody, page string) (next string, err error) {
	b.Table.columns = c.columns(b.Saga)
	f := projection.SagaFilter{Name: b.Saga, State: b.State, Page: page}
	switch b.State {
	case "stuck":
		rows, more, err := c.stuck(ctx, b.Saga)
		b.Stuck, b.More = alike(rows), more
		return "", err
	case takenBack:
		f.State = ""
		for n := 0; n < backPages && len(b.Table.Rows) < projection.PageSize && (n == 0 || f.Page != ""); n++ {
			var rows []sagaRow
			if rows, f.Page, err = c.page(ctx, f); err != nil {
				return "", err
			}
			b.Table.Rows = append(b.Table.Rows, slices.DeleteFunc(rows, func(r sagaRow) bool { return !r.Back })...)
		}
		return f.Page, nil
	}
	b.Table.Rows, next, err = c.page(ctx, f)
	return next, err
}

// page is one of the read model's list of sagas.
func (c *Console) page(ctx context.Context, f projection.SagaFilter) (rows []sagaRow, next string, err error) {
	found, err := c.Reads.Sagas(ctx, f)
	if err == nil {
		rows, err = c.rows(ctx, found.Items)
	}
	return rows, found.Next, err
}
