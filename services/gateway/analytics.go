package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams/business"
)

// AnalyticsPath is where the business's questions are listed; each is below it.
const AnalyticsPath = "/v1/analytics"

// Questions answers GET /v1/analytics.
type Questions struct {
	Items []Question `json:"items"`
}

// Question is what a business is asked.
type Question struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	About   string   `json:"about"`
	By      []string `json:"by"`            // dimensions, of which the first is the usual one; units of time
	Where   []string `json:"where"`         // dimensions by which to choose
	Numbers []string `json:"numbers"`       // of a table
	Key     string   `json:"key,omitempty"` // of what it wants the key
}

// QuestionsOf lists what a business is asked.
func QuestionsOf(b *business.Business) Questions {
	out := Questions{[]Question{}}
	for _, q := range b.Questions() {
		item := Question{Name: q.Name, Title: q.Title, About: q.About, By: []string{}, Where: []string{}, Numbers: []string{}}
		for _, d := range q.By {
			item.Where = append(item.Where, d.Name)
		}
		item.By = append(item.By, item.Where...)
		switch q.Shape {
		case business.Table:
			item.By = append(item.By, business.Units...)
		case business.Cohorts:
			item.By = append(item.By, business.Units[1:]...)
		case business.Story:
			item.Key = q.View.One
		}
		for _, n := range q.Numbers {
			item.Numbers = append(item.Numbers, n.Name)
		}
		out.Items = append(out.Items, item)
	}
	return out
}

func (g *gateway) questions(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "" {
		badQuery("this takes no parameters: they are a question's").Write(w)
		return
	}
	edge.JSON(w, http.StatusOK, QuestionsOf(g.Business))
}

// question answers one question.
func (g *gateway) question(w http.ResponseWriter, r *http.Request) {
	if !askable(r) {
		badQuery("the path or the query is not UTF-8 or holds control characters: nothing is called so").Write(w)
		return
	}
	p, err := questionParams(r.URL.RawQuery)
	if err != nil {
		badQuery(err.Error()).Write(w)
		return
	}
	if g.Analytics == nil {
		(&edge.Problem{Code: "no-analytics", Status: http.StatusServiceUnavailable, RetryAfter: 60, Detail: "this process keeps no analytics: ask one that does, or have it keep them"}).Write(w)
		return
	}
	a, err := g.Analytics.Ask(r.Context(), r.PathValue("question"), p)
	var bad *analytics.ParamError
	switch {
	case err == nil:
		w.Header().Set("Cache-Control", "no-store")
		edge.JSON(w, http.StatusOK, a)
	case errors.Is(err, analytics.ErrNoQuestion):
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "there is no question " + strconv.Quote(r.PathValue("question")) + ": they are listed at " + AnalyticsPath}).Write(w)
	case errors.As(err, &bad):
		badQuery(bad.What).Write(w)
	case errors.Is(err, analytics.ErrTooMuch):
		(&edge.Problem{Code: "too-much", Status: http.StatusUnprocessableEntity, Detail: err.Error()}).Write(w)
	default:
		g.Log.ErrorContext(r.Context(), "a question cannot be answered", "question", r.PathValue("question"), "error", err)
		(&edge.Problem{Code: "analytics-unavailable", Status: http.StatusServiceUnavailable, RetryAfter: 5, Detail: "analytics cannot be asked at the moment: try again"}).Write(w)
	}
}

var questionNames = []string{"from", "to", "zone", "by", "where", "key", "limit"}

// questionParams reads the query of a question.
func questionParams(query string) (p analytics.Params, err error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return p, fmt.Errorf("the query cannot be read: %w", err)
	}
	for name, values := range q {
		if !slices.Contains(questionNames, name) || len(values) > 1 && name != "by" && name != "where" {
			return p, fmt.Errorf("parameter %q is not known here or given twice: there are %s", name, strings.Join(questionNames, ", "))
		}
	}
	p.Zone, p.Key = q.Get("zone"), q.Get("key")
	for _, list := range q["by"] {
		p.By = append(p.By, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
	}
	for _, pair := range q["where"] {
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := p.Where[name]; !ok || twice {
			return p, fmt.Errorf("where %q is not of the form dimension=value, or names one twice", pair)
		}
		if p.Where == nil {
			p.Where = map[string]string{}
		}
		p.Where[name] = value
	}
	if s := q.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 1 {
			return p, fmt.Errorf("limit %q is not a whole number from 1 to %d", s, analytics.MaxLimit)
		}
	}
	if p.From, err = instant("from", q.Get("from"), p.Zone); err != nil {
		return p, err
	}
	p.To, err = instant("to", q.Get("to"), p.Zone)
	return p, err
}

// instant is a time of RFC 3339, or the beginning of a day in the question's time zone.
func instant(name, text, zone string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	at, err := time.LoadLocation(zone)
	if err != nil {
		at = time.UTC // whoever answers refuses it
	}
	t, err := time.ParseInLocation(time.DateOnly, text, at)
	if err != nil {
		return t, fmt.Errorf("%s %q is neither a day, as 2010-12-01, nor a time, as 2010-12-01T08:00:00Z", name, text)
	}
	return t, nil
}

// analytics describes the questions.
func (d *description) analytics() {
	d.add(AnalyticsPath, http.MethodGet, object{"operationId": "listQuestions", "tags": []string{platformTag}, "summary": "List the questions that the business is asked",
		"responses": answers(object{"200": object{"description": "All of them.", "content": object{"application/json": object{"schema": object{"type": "object", "required": []string{"items"},
			"properties": object{"items": object{"type": "array", "items": d.questionSchema()}}}}}}}, "400 Problem")})
	text := func(name, about string) object {
		return object{"name": name, "in": "query", "description": about, "schema": object{"type": "string"}}
	}
	var names []string
	for _, q := range d.business.Questions() {
		names = append(names, q.Name)
	}
	d.add(AnalyticsPath+"/{question}", http.MethodGet, object{"operationId": "askQuestion", "tags": []string{platformTag}, "summary": "Ask a question of all that ever happened",
		"description": "What would read too much is refused with its cost (422): ask for a shorter time.",
		"parameters": []object{{"name": "question", "in": "path", "required": true, "schema": object{"type": "string", "examples": names}},
			text("from", "A day or a time of RFC 3339, from which on; missing for all."), text("to", "A day or a time of RFC 3339, before which; missing for all."),
			text("zone", "Time zone of the IANA database, in which days and other times begin; UTC if missing."),
			text("by", "Dimensions, and at most one unit of time, with commas between; \"total\" for none. Missing for the first dimension."),
			text("where", "A dimension and what it has to be: country=GB. May be given several times."), text("key", "Of what the question is about, if it wants one."),
			{"name": "limit", "in": "query", "description": "Rows of the answer; 1000 if missing.", "schema": object{"type": "integer", "minimum": 1, "maximum": analytics.MaxLimit}}},
		"responses": answers(object{"200": object{"description": "The answer.", "content": object{"application/json": object{"schema": answerSchema()}}}}, "400 Problem", "404 Problem", "422 Problem", "503 TryAgain")})
}

func (d *description) questionSchema() object {
	text, texts := object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}}
	return object{"type": "object", "required": []string{"name", "title", "about", "by", "where", "numbers"}, "properties": object{"name": text, "title": text, "about": text, "by": texts, "where": texts, "numbers": texts,
		"key": object{"type": "string", "description": "Of what the question wants a key; missing if it wants none."}}}
}

func answerSchema() object {
	text, at := object{"type": "string"}, object{"type": "string", "format": "date-time"}
	kinds := []analytics.AnswerKind{analytics.IsText, analytics.IsTime, analytics.IsCount, analytics.IsAmount, analytics.IsShare, analytics.IsDuration}
	column := object{"type": "object", "required": []string{"name", "kind"}, "properties": object{"name": text, "kind": object{"type": "string", "enum": kinds}}}
	return object{"type": "object", "required": []string{"question", "zone", "columns", "rows", "read", "more"}, "properties": object{"question": text, "from": at, "to": at, "zone": text,
		"columns": object{"type": "array", "items": column},
		"rows": object{"type": "array", "items": object{"type": "array", "items": object{"type": []string{"string", "number", "null"}}},
			"description": "A value for each column. Amounts are exact texts in the currency of the row; durations are nanoseconds; null is what is not there."},
		"read": object{"type": "integer", "description": "Rows that were read for it."}, "more": object{"type": "boolean", "description": "The limit cut it off."}}}
}
