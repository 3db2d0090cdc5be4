package console

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// countsFresh is how old the counts of documents may be: a store counts them one by one.
const countsFresh = 10 * time.Second

// viewRoutes serves the documents of each view under the view's name, which is none of
// another page: see business.ReservedPage.
func (c *Console) viewRoutes() {
	for _, v := range c.Business.Views() {
		c.mux.HandleFunc("GET /"+v.Name, func(w http.ResponseWriter, r *http.Request) { c.viewPage(w, r, v) })
		c.mux.HandleFunc("GET /"+v.Name+"/{key}", func(w http.ResponseWriter, r *http.Request) { c.documentPage(w, r, v) })
	}
}

// viewCounts are how many documents a view has.
type viewCounts struct {
	*business.View
	All    string
	States []stateCount // of those that there are
}

type stateCount struct {
	State, N string
	Path     string // of the list; empty if documents cannot be chosen by it
}

// viewsBody is the list of views.
type viewsBody struct {
	Views []viewCounts
	Old   string
}

func (c *Console) viewList(w http.ResponseWriter, r *http.Request) {
	counts, err := c.counts.get(c.Now(), countsFresh, func() ([]viewCounts, error) { return c.countViews(context.WithoutCancel(r.Context())) })
	b := viewsBody{counts, asOf(&c.counts, c.Now(), err)}
	if b.Old == notKnown {
		c.broken(w, r, err)
		return
	}
	if err != nil {
		b.Views, _ = c.counts.latest()
	}
	c.show(w, r, http.StatusOK, "views", frame{Title: "Views", At: "views", Live: true, Body: b})
}

func (c *Console) countViews(ctx context.Context) (out []viewCounts, err error) {
	for _, v := range c.Business.Views() {
		n, err := c.Reads.Counts(ctx, v)
		if err != nil {
			return nil, err
		}
		x, all := viewCounts{View: v}, int64(0)
		for _, k := range n {
			all += k
		}
		x.All = count(all)
		state := stateField(v)
		for _, s := range v.States {
			if n[s] == 0 {
				continue
			}
			sc := stateCount{State: s, N: count(n[s])}
			if state != "" {
				sc.Path = pathOf("/"+v.Name, state, s)
			}
			x.States = append(x.States, sc)
		}
		out = append(out, x)
	}
	return out, nil
}

// stateField is the field by which documents of a state can be chosen, or empty.
func stateField(v *business.View) string {
	for _, f := range v.All() {
		if f.Kind == business.State && f.Filter && !f.Personal {
			return f.Name
		}
	}
	return ""
}

// filter is a field by which documents can be chosen: by links, from a list, or by a text.
type filter struct {
	Name, Label, Value string
	Choices            []choice
	Enum               []string
}

// viewBody is the list of a view's documents.
type viewBody struct {
	*business.View
	Filters      []filter
	Chosen       bool // not all are asked for
	Asks         bool // there is something to fill in
	Columns      []fieldView
	Rows         []viewRow
	Newest, Next string // paths
	Trouble      string
	Begins       string // what a client sends to have the first one; empty: not known
}

type viewRow struct {
	Path, Key string
	Begun     time.Time
	Cells     []fieldView
}

// columnsShown bounds how many fields a list of documents shows.
const columnsShown = 7

// fieldsShown are the fields that a list of documents shows: those that are no times, unless
// the list is sorted by them. What is personal has no column.
func fieldsShown(v *business.View) (out []business.Field) {
	rank := func(f business.Field) int {
		if f.Kind == business.State || f.Name == v.Sort {
			return 0
		}
		return 1
	}
	all := slices.DeleteFunc(slices.Clone(v.All()), func(f business.Field) bool {
		return f.Personal || f.Name == business.Correlation || f.Kind == business.Time && f.Name != v.Sort
	})
	slices.SortStableFunc(all, func(a, b business.Field) int { return rank(a) - rank(b) })
	return all[:min(len(all), columnsShown)]
}

// queried is a value of a query, as text that a store can hold.
func queried(q url.Values, name string) string {
	return strings.TrimSpace(strings.ToValidUTF8(q.Get(name), "\ufffd"))
}

func (c *Console) viewPage(w http.ResponseWriter, r *http.Request, v *business.View) {
	q, page := r.URL.Query(), r.URL.Query().Get("page")
	b, chosen := viewBody{View: v}, map[string]string{}
	var pairs []string
	for _, f := range v.All() {
		if value := queried(q, f.Name); f.Filter && !f.Personal && value != "" {
			chosen[f.Name], b.Chosen = value, true
			pairs = append(pairs, f.Name, value)
		}
	}
	b.Filters = filtersOf(v, chosen)
	b.Asks = slices.ContainsFunc(b.Filters, func(f filter) bool { return f.Choices == nil })
	for _, f := range fieldsShown(v) {
		b.Columns = append(b.Columns, fieldView{Name: fieldName(f.Name), Number: f.Kind != business.Text && f.Kind != business.State && f.Kind != business.Flag})
	}
	found, err := projection.Page[projection.Document]{}, error(nil)
	status := http.StatusOK
	if b.Trouble = wrong(v, chosen); b.Trouble == "" {
		found, err = c.Reads.Documents(r.Context(), v, chosen, page)
	}
	switch {
	case b.Trouble != "":
		status = http.StatusBadRequest
	case errors.Is(err, projection.ErrPage):
		status, b.Trouble = http.StatusBadRequest, "The address of this page is damaged. Begin with the newest."
	case err != nil:
		c.broken(w, r, err)
		return
	}
	b.Rows, b.Begins = c.viewRows(v, found.Items), c.beginning(c.Topology.Name(v.Begins[0]))
	if found.Next != "" {
		b.Next = pathOf("/"+v.Name, append(pairs[:len(pairs):len(pairs)], "page", found.Next)...)
	}
	if page != "" {
		b.Newest = pathOf("/"+v.Name, pairs...)
	}
	c.show(w, r, status, "view", frame{Title: upper(fieldName(v.Name)), At: "views", Live: page == "" && status == http.StatusOK, Body: b})
}

// wrong says which value there is not; a text may be any.
func wrong(v *business.View, chosen map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		f, _ := v.Field(name)
		if f.Kind == business.State && !slices.Contains(v.States, chosen[name]) || len(f.Enum) > 0 && !slices.Contains(f.Enum, chosen[name]) {
			return "No " + fieldName(name) + " is called so. Choose one that there is."
		}
	}
	return ""
}

func filtersOf(v *business.View, chosen map[string]string) (out []filter) {
	others := func(name string) (pairs []string) {
		for n, value := range chosen {
			if n != name {
				pairs = append(pairs, n, value)
			}
		}
		return pairs
	}
	for _, f := range v.All() {
		if !f.Filter || f.Personal {
			continue
		}
		x := filter{Name: f.Name, Label: upper(fieldName(f.Name)), Value: chosen[f.Name], Enum: f.Enum}
		if f.Kind == business.State {
			x.Choices = []choice{{"All", pathOf("/"+v.Name, others(f.Name)...), x.Value == ""}}
			for _, s := range v.States {
				x.Choices = append(x.Choices, choice{upper(fieldName(s)), pathOf("/"+v.Name, append(others(f.Name), f.Name, s)...), s == x.Value})
			}
		}
		out = append(out, x)
	}
	return out
}

func (c *Console) viewRows(v *business.View, docs []projection.Document) (out []viewRow) {
	for _, d := range docs {
		o := &subject{v, d, c.Now()}
		row := viewRow{Path: documentPath(v, d.Key), Key: d.Key, Begun: d.Begun}
		for _, f := range fieldsShown(v) {
			cell := o.field(f)
			cell.Text = short(cell.Text)
			row.Cells = append(row.Cells, cell)
		}
		out = append(out, row)
	}
	return out
}

// documentBody is the page of a document that no saga is about.
type documentBody struct {
	About     *subject
	Title     string
	Fields    []fieldView
	Hops      []hop
	First     time.Time
	More      bool // there are events beyond the bound
	History   bool // the view has one
	Correlate string
}

// documentPage is the saga about a document, or the document itself.
func (c *Console) documentPage(w http.ResponseWriter, r *http.Request, v *business.View) {
	o, err := c.find(r.Context(), v, r.PathValue("key"))
	if err == nil && o == nil {
		err = projection.ErrNotFound
	}
	if err != nil {
		c.missing(w, r, err, "No "+fieldName(v.One)+" of this name has begun. If it began just now, look again.")
		return
	}
	sagas, err := c.Reads.Saga(r.Context(), o.Correlation)
	if err != nil && !errors.Is(err, projection.ErrNotFound) {
		c.broken(w, r, err)
		return
	}
	if slices.ContainsFunc(sagas, func(s projection.Saga) bool { return s.Subject == v.Key.Kind()+"/"+o.Key }) {
		c.saga(w, r, o.Correlation, o)
		return
	}
	c.document(w, r, o)
}

func (c *Console) document(w http.ResponseWriter, r *http.Request, o *subject) {
	b := documentBody{About: o, Title: o.view.Title, History: o.view.History, Correlate: o.Correlation}
	for _, f := range o.view.All() {
		b.Fields = append(b.Fields, o.field(f))
	}
	if b.History {
		events, err := c.Reads.FirstEvents(r.Context(), o.Correlation, o.view.Key.Kind(), o.Key, eventsShown)
		if err != nil {
			c.broken(w, r, err)
			return
		}
		b.More = len(events) >= eventsShown
		b.Hops = c.shape.hops(events[:min(len(events), eventsShown)])
		if len(b.Hops) > 0 {
			b.First = b.Hops[0].Time
		}
	}
	c.show(w, r, http.StatusOK, "document", frame{Title: o.Key, At: "views", Live: true, Body: b})
}
