package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
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
	Keys    []parkedKey
	Inputs  int
	Result  *result
	CanAct  bool
	Trouble string
}

// keysShown bounds the page.
const keysShown = 100

func (c *Console) letters(w http.ResponseWriter, r *http.Request) {
	b := lettersBody{CanAct: c.Retry != nil && c.Drop != nil, Result: c.results.find(r.URL.Query().Get("result"))}
	letters, err := c.Letters(r.Context())
	if err != nil {
		c.broken(w, r, err)
		return
	}
	b.Inputs = len(letters)
	b.Keys = byKey(letters)
	if n := len(b.Keys); n > keysShown {
		b.Trouble = fmt.Sprintf("These are the first %d of %d parked keys.", keysShown, n)
		b.Keys = b.Keys[:keysShown]
	}
	c.show(w, r, http.StatusOK, "letters", frame{Title: "Dead letters", At: "letters", Live: true, Body: b})
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
		http.Redirect(w, r, "/dead-letters?result="+strconv.Itoa(id), http.StatusSeeOther)
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
