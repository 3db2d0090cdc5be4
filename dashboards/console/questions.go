package console

import (
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Bounds of what is told of the proof of analytics.
const (
	differencesFresh = 5 * time.Second
	differencesShown = 20
	// provedLate is how old a proof is when that is worth a colour.
	provedLate = time.Minute
)

// questionsBody is the list of the business's questions.
type questionsBody struct {
	Questions []questionItem
	Proof     proof
}

// questionItem is a question of a service, or one that no service declares.
type questionItem struct{ Path, Title, About, By, Service string }

// proof is how well analytics is what the log says, and how far it is behind.
type proof struct {
	Level       string // "" if all is well
	Known       bool
	Until       time.Time
	Differences int // that there are
	Behind      string
	BehindLevel string
	Noted       []analytics.Difference // the latest that were found, also those that are no more
	Old         string                 // how old these are, if they cannot be read
}

func (c *Console) questionList(w http.ResponseWriter, r *http.Request) {
	var b questionsBody
	b.Proof = c.proofOf(r.Context())
	of := map[string]string{}
	for _, s := range c.Business.Services {
		for _, q := range s.Questions {
			of[q.Name] = s.Name
		}
	}
	for _, q := range c.Business.Questions() {
		b.Questions = append(b.Questions, itemOf(q, of[q.Name]))
	}
	c.show(w, r, http.StatusOK, "questions", frame{Title: "Analytics", At: "analytics", Live: true, Body: b})
}

// usualRange is that of a question which nobody has said a range of: not all that ever was.
const usualRange = "7d"

func itemOf(q business.Question, service string) questionItem {
	item := questionItem{Path: questionPath(q.Name, "from", usualRange), Title: q.Title, About: q.About, Service: service}
	if q.Shape == business.Story {
		item.Path = questionPath(q.Name)
	}
	for i, d := range q.By {
		if i > 0 {
			item.By += ", "
		}
		item.By += d.Name
	}
	return item
}

// proofOf tells what the metrics of this process say, and what was noted in the store.
func (c *Console) proofOf(ctx context.Context) (p proof) {
	_, last, _ := c.samples.now(0)
	if last.proved > 0 {
		p.Known, p.Until, p.Differences = true, time.Unix(0, int64(last.proved*1e9)), int(math.Round(last.differences))
		switch {
		case p.Differences > 0:
			p.Level = severe
		case c.Now().Sub(p.Until) > provedLate:
			p.Level = warning
		}
	}
	p.Behind, p.BehindLevel = behindOf(last)
	noted, err := c.differences.get(c.Now(), differencesFresh, ask(ctx, func(ctx context.Context) ([]analytics.Difference, error) {
		return c.Analytics.Store.Differences(ctx, differencesShown)
	}))
	if err != nil {
		noted, _ = c.differences.latest()
		p.Old = asOf(&c.differences, c.Now(), err)
	}
	p.Noted = noted[:min(len(noted), differencesShown)]
	return p
}

// behindOf is how far analytics is behind, as a reading says.
func behindOf(last reading) (says, level string) {
	records, known := last.behind[streams.AnalyticsUnit]
	age, aged := last.behindAge[streams.AnalyticsUnit]
	switch {
	case !known || !aged:
		return "how far it is behind is not known", warning
	case records == 0:
		return "up to date", ""
	case seconds(age) < slow:
		return plural(int(records), "record") + " behind", ""
	}
	return span(seconds(age)) + " behind, " + plural(int(records), "record"), warning
}

// away remembers since when something does not answer.
type away struct {
	mu    sync.Mutex
	began time.Time
}

// heard notes whether it answered, and tells since when it has not.
func (a *away) heard(err error, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.began = time.Time{}
	case a.began.IsZero():
		a.began = now
	}
	return a.began
}
