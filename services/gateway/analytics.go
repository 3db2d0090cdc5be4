package gateway

import (
	"errors"
	"net/http"
	"strconv"
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
	p, err := analytics.ReadParams(r.URL.RawQuery, time.Now())
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
	case errors.Is(err, analytics.ErrBusy):
		(&edge.Problem{Code: "busy", Status: http.StatusServiceUnavailable, RetryAfter: 5, Detail: err.Error() + ": try again"}).Write(w)
	default:
		g.Log.ErrorContext(r.Context(), "a question cannot be answered", "question", r.PathValue("question"), "error", err)
		(&edge.Problem{Code: "analytics-unavailable", Status: http.StatusServiceUnavailable, RetryAfter: 5, Detail: "analytics cannot be asked at the moment: try again"}).Write(w)
	}
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
			text("from", "A day, a time of RFC 3339, or how long ago (7d), from which on; missing for all."), text("to", "A day, a time of RFC 3339, or how long ago, before which; missing for all."),
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
