package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams/business"
)

// Bounds of an answer on a page.
const (
	answerRead  = 2000 // rows that are asked for, and drawn
	answerShown = 200  // rows of the table
)

// drawn is the parameter that says which number is drawn. It is the page's alone.
const drawn = "number"

// questionBody is the page of one question.
type questionBody struct {
	Title, About string
	Proof        proof
	Form         questionForm
	Trouble      string // why there is no answer
	Level        string
	Since        time.Time // it cannot be asked; zero: it can
	Shorter      []choice  // times that cost less
	answerView
	CSV, JSON, Command string
	Unit               string // by which rows are told apart
}

// questionForm is what the question was asked with.
type questionForm struct {
	Path           string
	From, To, Zone string
	Key, KeyOf     string // of a story
	Ranges         []choice
	Units          []option // of time; none: it cannot be told apart by them
	Dimensions     []option
	Where          []chosenValue
	Number         string
}

type option struct {
	Value, Name string
	Chosen      bool
}

// chosenValue is what a dimension has to be, and the address without it.
type chosenValue struct{ Name, Value, Without string }

// questionAsk is a question with what it is asked with: as it is written, and as it is meant.
type questionAsk struct {
	business.Question
	query  url.Values // without the page's own
	number string
	params analytics.Params
	bad    error // of what it is asked with
}

func questionPath(name string, pairs ...string) string {
	return pathOf("/analytics/"+url.PathEscape(name), pairs...)
}

// storyPath is where analytics tells all that had to do with a document; empty if nobody does.
func (c *Console) storyPath(o *subject) string {
	if c.Analytics == nil || o == nil {
		return ""
	}
	for _, q := range c.Business.Questions() {
		if q.Shape == business.Story && q.View == o.view {
			return questionPath(q.Name, "key", o.Key)
		}
	}
	return ""
}

// readQuestion is what an address asks; false if there is no such question.
func (c *Console) readQuestion(r *http.Request) (a questionAsk, ok bool) {
	if a.Question, ok = c.Business.Question(r.PathValue("question")); !ok {
		return a, false
	}
	q, err := url.ParseQuery(strings.ToValidUTF8(r.URL.RawQuery, ""))
	a.query, a.bad = url.Values{}, err
	a.number = q.Get(drawn)
	for name, values := range q {
		var kept []string
		for _, v := range values {
			if v = strings.TrimSpace(strings.ToValidUTF8(v, "\ufffd")); v != "" && name != drawn {
				kept = append(kept, v)
			}
		}
		if len(kept) > 0 {
			a.query[name] = kept
		}
	}
	if q.Has("by") && !a.query.Has("by") && a.Shape == business.Table && len(a.By) > 0 { // a form in which nothing is chosen
		a.query.Set("by", "total")
	}
	if a.bad == nil {
		a.params, a.bad = analytics.ReadParams(a.query.Encode(), c.Now())
	}
	return a, true
}

// with is the address of the question with some things otherwise; an empty value is none.
func (a *questionAsk) with(pairs ...string) string {
	q := url.Values{}
	for name, values := range a.query {
		q[name] = values
	}
	if a.number != "" {
		q.Set(drawn, a.number)
	}
	for i := 0; i < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return questionPath(a.Name)
	}
	return questionPath(a.Name) + "?" + q.Encode()
}

func (c *Console) questionPage(w http.ResponseWriter, r *http.Request) {
	a, ok := c.readQuestion(r)
	if !ok {
		c.problem(w, r, http.StatusNotFound, "The business is not asked this. The questions that it is asked are listed under Analytics.")
		return
	}
	b := questionBody{Title: a.Title, About: a.About, Proof: c.proofOf(r.Context()), Form: formOf(&a), Command: a.command()}
	status := http.StatusOK
	if a.Shape != business.Story || a.query.Has("key") {
		b.CSV, b.JSON = a.links()
		answer, err := c.answer(r.Context(), &a, answerRead)
		if r.Context().Err() != nil {
			return // who asked has gone
		}
		if err == nil {
			b.answerView = c.viewAnswer(&a, answer)
			if i := slices.IndexFunc(b.Form.Units, func(o option) bool { return o.Chosen }); i >= 0 {
				b.Unit = b.Form.Units[i].Name
			}
		} else {
			status = c.refused(r.Context(), &b, &a, err)
		}
	}
	c.show(w, r, status, "question", frame{Title: a.Title, At: "analytics", Live: status == http.StatusServiceUnavailable, Body: &b})
}

// answer asks, and remembers since when it is of no use.
func (c *Console) answer(ctx context.Context, a *questionAsk, most int) (*analytics.Answer, error) {
	if a.bad != nil {
		return nil, &analytics.ParamError{What: a.bad.Error()}
	}
	p := a.params
	if p.Limit == 0 || p.Limit > most {
		p.Limit = most
	}
	answer, err := c.Analytics.Ask(ctx, a.Name, p)
	if err == nil {
		c.away.heard(nil, c.Now())
	}
	return answer, err
}

// refused says why there is no answer, and what to do.
func (c *Console) refused(ctx context.Context, b *questionBody, a *questionAsk, err error) int {
	var bad *analytics.ParamError
	switch {
	case errors.As(err, &bad):
		b.Trouble, b.Level, b.CSV, b.JSON = bad.What, severe, "", ""
		return http.StatusBadRequest
	case errors.Is(err, analytics.ErrTooMuch):
		b.Trouble, b.Level = err.Error(), warning
		for _, r := range b.Form.Ranges {
			if r.Name != "all" && !r.Current {
				b.Shorter = append(b.Shorter, r)
			}
		}
		return http.StatusUnprocessableEntity
	}
	c.Log.ErrorContext(ctx, "a question cannot be answered", "question", a.Name, "error", err)
	b.Trouble, b.Level, b.Since = "Analytics cannot be asked. The page tries again; the log of the process says why.", severe, c.away.heard(err, c.Now())
	return http.StatusServiceUnavailable
}

// questionCSV answers as a file: as many rows as an answer may have.
func (c *Console) questionCSV(w http.ResponseWriter, r *http.Request) {
	a, ok := c.readQuestion(r)
	if !ok {
		c.problem(w, r, http.StatusNotFound, "The business is not asked this.")
		return
	}
	answer, err := c.answer(r.Context(), &a, analytics.MaxLimit)
	if err != nil {
		if r.Context().Err() != nil {
			return
		}
		var b questionBody
		status := c.refused(r.Context(), &b, &a, err)
		c.problem(w, r, status, b.Trouble)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", a.Name+".csv"))
	_ = analytics.WriteCSV(w, answer.Columns, answer.Texts()) // who asked has gone: nobody is left to tell
}

// links are the addresses of the same answer for machines, with all its rows.
func (a *questionAsk) links() (csv, json string) {
	q := url.Values{}
	for name, values := range a.query {
		q[name] = values
	}
	csv = questionPath(a.Name) + "/rows.csv"
	if len(q) > 0 {
		csv += "?" + q.Encode()
	}
	if !q.Has("limit") {
		q.Set("limit", fmt.Sprint(analytics.MaxLimit))
	}
	return csv, "/v1/analytics/" + url.PathEscape(a.Name) + "?" + q.Encode()
}

// command is what asks the same on a command line.
func (a *questionAsk) command() string {
	words := []string{"weir", "ask", a.Name}
	if key := a.query.Get("key"); key != "" {
		words = append(words, key)
	}
	for _, name := range []string{"from", "to", "zone"} {
		if v := a.query.Get(name); v != "" {
			words = append(words, "--"+name, v)
		}
	}
	if by := a.query["by"]; len(by) > 0 {
		words = append(words, "--by", strings.Join(by, ","))
	}
	for _, v := range a.query["where"] {
		words = append(words, "--where", v)
	}
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ")
}

// shellWord is a word as a shell reads it.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ranges are the times that one click asks for.
var ranges = []struct{ from, name string }{{"1h", "1 h"}, {"24h", "24 h"}, {"7d", "7 d"}, {"30d", "30 d"}, {"", "all"}}

func formOf(a *questionAsk) questionForm {
	f := questionForm{Path: questionPath(a.Name), From: a.query.Get("from"), To: a.query.Get("to"), Zone: a.query.Get("zone"), Key: a.query.Get("key"), Number: a.number}
	if a.Shape == business.Story {
		f.KeyOf = fieldName(a.View.One)
	}
	for _, r := range ranges {
		f.Ranges = append(f.Ranges, choice{r.name, a.with("from", r.from, "to", ""), f.From == r.from && f.To == ""})
	}
	by := slices.Clone(a.params.By)
	switch a.Shape {
	case business.Table:
		if len(by) == 0 && len(a.By) > 0 {
			by = []string{a.By[0].Name}
		}
		f.Units = append(f.Units, option{"", "the whole time", false})
		f.Units = append(f.Units, options(business.Units, by)...)
		for _, d := range a.By {
			f.Dimensions = append(f.Dimensions, option{d.Name, d.Name, slices.Contains(by, d.Name)})
		}
	case business.Cohorts:
		if len(by) == 0 {
			by = []string{"month"}
		}
		f.Units = options(business.Units[1:], by)
	}
	for _, pair := range a.query["where"] {
		if name, value, ok := strings.Cut(pair, "="); ok {
			f.Where = append(f.Where, chosenValue{name, value, a.without(pair)})
		}
	}
	return f
}

func options(values, chosen []string) (out []option) {
	for _, v := range values {
		out = append(out, option{v, v, slices.Contains(chosen, v)})
	}
	return out
}

// without is the address without one of the values that dimensions have to have.
func (a *questionAsk) without(pair string) string {
	b := *a
	b.query = url.Values{}
	for name, values := range a.query {
		b.query[name] = values
	}
	b.query["where"] = slices.DeleteFunc(slices.Clone(a.query["where"]), func(w string) bool { return w == pair })
	return b.with()
}

// where is the address with one more.
func (a *questionAsk) where(name, value string) string {
	b := *a
	b.query = url.Values{}
	for n, values := range a.query {
		b.query[n] = values
	}
	b.query["where"] = append(slices.Clone(a.query["where"]), name+"="+value)
	return b.with()
}
