package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
)

// parkedKey is a key whose first input failed, and what waits behind it.
type parkedKey struct {
	Letter  // the failed one
	Waiting []Letter
	ID      string // of the element on the page
}

// result is what came of a button that a person pressed.
type result struct {
	ID    int
	Text  string
	At    time.Time
	Class string
}

// results keeps the latest ones, to show each after the redirect.
type results struct {
	mu   sync.Mutex
	last int
	list []result
}

func (r *results) add(x result) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	x.ID = r.last
	r.list = keep(append(r.list, x), 32)
	return x.ID
}

func (r *results) find(id string) *result {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := strconv.Atoi(id)
	for i := range r.list {
		if err == nil && r.list[i].ID == n {
			x := r.list[i]
			return &x
		}
	}
	return nil
}

// lettersBody is the page of parked inputs.
type lettersBody struct {
	Query, Cause string
	Keys         []parkedKey // of this page
	Causes       []cause     // of all that are found
	Inputs       int         // parked, and those found
	All, Found   int         // keys
	First        int         // number of the first of this page
	Prev, Next   string      // paths of other pages
	Result       *result
	Bulk         *bulkView
	CanAct       bool
	Trouble      string
}

func (b *lettersBody) Filtered() bool { return b.Query != "" || b.Cause != "" }

// keysShown bounds a page.
const keysShown = 25

func (c *Console) letters(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b := lettersBody{Query: strings.TrimSpace(q.Get("q")), Cause: q.Get("cause"), CanAct: c.Retry != nil && c.Drop != nil, Result: c.results.find(q.Get("result")), Bulk: c.bulk.view(c.Now())}
	letters, at, err := c.lettersNow(r.Context())
	if err != nil && at.IsZero() {
		c.broken(w, r, err)
		return
	}
	if err != nil {
		b.Trouble = "This is as of " + stampAt(at, c.Now()).Ago + ": since then the parked inputs cannot be read. " + mask(firstLine(err.Error()))
	}
	all := byKey(letters)
	found := search(all, b.Query, b.Cause)
	b.Inputs, b.All, b.Found, b.Causes = len(letters), len(all), len(found), causesOf(found)
	if len(letters) >= LettersRead {
		b.Trouble = fmt.Sprintf("Only the first %s parked inputs are looked at.", count(LettersRead))
	}
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page, 1), max((len(found)+keysShown-1)/keysShown, 1))
	b.First = (page-1)*keysShown + 1
	b.Keys = found[b.First-1 : min(page*keysShown, len(found))]
	if page > 1 {
		b.Prev = lettersPath(b.Query, b.Cause, page-1)
	}
	if page*keysShown < len(found) {
		b.Next = lettersPath(b.Query, b.Cause, page+1)
	}
	c.show(w, r, http.StatusOK, "letters", frame{Title: "Dead letters", At: "letters", Live: true, Body: &b})
}

// LettersRead is how many parked inputs are looked at, at most.
const LettersRead = 20_000

// lettersTime bounds the reading of them.
const lettersTime = 10 * time.Second

// lettersNow are the parked inputs, read again only after ten times as long as that
// takes. If they cannot be, they are as of when they could.
func (c *Console) lettersNow(ctx context.Context) (letters []Letter, at time.Time, err error) {
	_, err = c.parked.get(c.Now(), min(10*c.parked.took(), 15*time.Second), func() ([]Letter, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lettersTime)
		defer cancel()
		return c.Letters(ctx)
	})
	letters, at = c.parked.latest()
	return letters, at, err
}

// byKey groups letters: the first of a key, and those behind it.
func byKey(letters []Letter) (out []parkedKey) {
	type name struct{ service, decider, key string }
	at := map[name]int{}
	for _, l := range letters {
		n := name{l.Service, l.Decider, l.Key}
		i, ok := at[n]
		if !ok {
			at[n] = len(out)
			out = append(out, parkedKey{Letter: l, ID: fmt.Sprintf("k-%s-%s-%x", l.Service, l.Decider, l.Key)})
			continue
		}
		out[i].Waiting = append(out[i].Waiting, l)
	}
	return out
}

// actTime bounds a retry, which decides all that is parked behind the key.
const actTime = 30 * time.Second

// act answers the form of a parked key.
func (c *Console) act(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !c.asked(w, r) {
			return
		}
		do := map[string]func(context.Context, string, streams.StreamID) (int, error){"retry": c.Retry, "drop": c.Drop}[what]
		if do == nil {
			c.problem(w, r, http.StatusNotFound, "Parked inputs cannot be changed here.")
			return
		}
		service, key := r.PostForm.Get("service"), streams.StreamID{Decider: r.PostForm.Get("decider"), Key: r.PostForm.Get("key")}
		ctx, cancel := context.WithTimeout(r.Context(), actTime)
		defer cancel()
		left, err := do(ctx, service, key)
		id := c.results.add(judged(what, key, left, err, c.Now()))
		c.Log.InfoContext(ctx, "parked key acted on from the live page", "what", what, "service", service, "decider", key.Decider, "key", key.Key, "left", left, "error", err)
		c.need.forget()
		c.parked.forget()
		to, _ := url.Parse(lettersPath(r.PostForm.Get("q"), r.PostForm.Get("cause"), 1)) // it is of our making
		q := to.Query()
		q.Set("result", strconv.Itoa(id))
		http.Redirect(w, r, "/dead-letters?"+q.Encode(), http.StatusSeeOther)
	}
}

func judged(what string, key streams.StreamID, left int, err error, now time.Time) result {
	x := result{At: now, Class: "bad"}
	name := key.Decider + " " + mask(key.Key)
	switch {
	case err != nil:
		x.Text = fmt.Sprintf("The %s of %s was not possible: %s", what, name, mask(err.Error()))
	case left > 0 && what == "drop":
		x.Text = fmt.Sprintf("The input was dropped, and %s is still parked: the next input failed too.", name)
		x.Class = "warn"
	case left > 0:
		x.Text = fmt.Sprintf("%s failed again: %s still parked.", name, plural(left, "input"))
	case what == "drop":
		x.Class, x.Text = "ok", fmt.Sprintf("The input was dropped. %s flows again.", name)
	default:
		x.Class, x.Text = "ok", fmt.Sprintf("The retry worked. %s flows again.", name)
	}
	return x
}

// asked reads the form of a button, and reports whether to go on. That it is one
// of our own pages that asks, whoever serves the console has seen to.
func (c *Console) asked(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if err := r.ParseForm(); err != nil {
		c.problem(w, r, http.StatusBadRequest, "The form cannot be read.")
		return false
	}
	return true
}
