package console

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/weirstream/weir/streams"
)

// target is a parked key to retry.
type target struct {
	service string
	key     streams.StreamID
}

// bulk is the retry of many keys, which takes longer than a request may. One runs at
// a time, in the time of Run.
type bulk struct {
	mu      sync.Mutex
	asked   chan []target
	stop    context.CancelFunc
	running bool
	now     bulkView
}

// bulkView is how far it is.
type bulkView struct {
	Total, Flow, Again, Failed int
	Error                      string // the first
	Began, Ended               time.Time
	Stopped                    bool
}

// Done is how many keys were tried.
func (v *bulkView) Done() int { return v.Flow + v.Again + v.Failed }

// bulkShown is how long the page tells of one that is over.
const bulkShown = 10 * time.Minute

// retriers is how many keys are decided again at once: they are of different lanes
// mostly, and each waits for its commit.
const retriers = 4

func (b *bulk) view(now time.Time) *bulkView {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.now
	if v.Total == 0 || !v.Ended.IsZero() && now.Sub(v.Ended) > bulkShown {
		return nil
	}
	return &v
}

// begin takes the keys, unless another retry is under way.
func (b *bulk) begin(keys []target, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return false
	}
	b.running, b.now = true, bulkView{Total: len(keys), Began: now}
	b.asked <- keys // it has room for the one that runs
	return true
}

func (b *bulk) halt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.now.Stopped = true
		b.stop()
	}
}

// count notes what came of a key.
func (b *bulk) count(left int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err != nil:
		if b.now.Failed++; b.now.Error == "" {
			b.now.Error = mask(firstLine(err.Error()))
		}
	case left > 0:
		b.now.Again++
	default:
		b.now.Flow++
	}
}

// retryAsked retries what is asked for until ctx ends.
func (c *Console) retryAsked(ctx context.Context) {
	for {
		select {
		case keys := <-c.bulk.asked:
			c.retryAll(ctx, keys)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Console) retryAll(ctx context.Context, keys []target) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c.bulk.mu.Lock()
	c.bulk.stop = stop
	c.bulk.mu.Unlock()
	todo := make(chan target)
	var working sync.WaitGroup
	for range min(retriers, len(keys)) {
		working.Go(func() {
			for k := range todo {
				one, cancel := context.WithTimeout(ctx, actTime)
				left, err := c.Retry(one, k.service, k.key)
				cancel()
				c.bulk.count(left, err)
			}
		})
	}
	for _, k := range keys {
		select {
		case todo <- k:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	working.Wait()
	c.bulk.mu.Lock()
	c.bulk.running, c.bulk.stop, c.bulk.now.Ended = false, nil, c.Now()
	v := c.bulk.now
	c.bulk.mu.Unlock()
	c.need.forget()
	c.parked.forget()
	c.Log.Info("parked keys retried from the live page", "keys", v.Total, "flow", v.Flow, "failed_again", v.Again, "not_possible", v.Failed, "error", v.Error)
}

// retryFound answers the form that retries all keys that are found.
func (c *Console) retryFound(w http.ResponseWriter, r *http.Request) {
	if !c.asked(w, r) {
		return
	}
	if c.Retry == nil {
		c.problem(w, r, http.StatusNotFound, "Parked inputs cannot be changed here.")
		return
	}
	query, cause := r.PostForm.Get("q"), r.PostForm.Get("cause")
	letters, _, err := c.lettersNow(r.Context())
	if err != nil {
		c.broken(w, r, err)
		return
	}
	var keys []target
	for _, k := range search(byKey(letters), query, cause) {
		keys = append(keys, target{k.Service, streams.StreamID{Decider: k.Decider, Key: k.Key}})
	}
	said := result{At: c.Now(), Class: "ok", Text: "The retry of " + plural(len(keys), "key") + " has begun."}
	switch {
	case len(keys) == 0:
		said.Class, said.Text = "warn", "Nothing like this is parked any more."
	case !c.bulk.begin(keys, c.Now()):
		said.Class, said.Text = "warn", "Another retry is under way: wait until it is over, or stop it."
	}
	http.Redirect(w, r, "/dead-letters?result="+strconv.Itoa(c.results.add(said)), http.StatusSeeOther)
}

// stopBulk answers the form that stops it.
func (c *Console) stopBulk(w http.ResponseWriter, r *http.Request) {
	if !c.asked(w, r) {
		return
	}
	c.bulk.halt()
	http.Redirect(w, r, "/dead-letters", http.StatusSeeOther)
}
