package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards/console"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// badDay is 5,000 parked keys, of two causes.
func badDay() (all []console.Letter) {
	for i := range 5000 {
		l := console.Letter{Service: "shipping", Decider: "shipment", Key: fmt.Sprint("o-", i), Kind: "event", Name: "order.released", ID: fmt.Sprint("id-", i), From: fmt.Sprint("order.order/0@", i),
			Reason: fmt.Sprintf("the carrier knows no postcode %q of o-%d", fmt.Sprint("0X", i), i), At: time.Now().Add(-time.Duration(i) * time.Second), Data: fmt.Sprintf("{\n  \"parcel\": \"p-%d\"\n}", i)}
		if i%100 == 7 {
			l.Name, l.Reason = "order.cancelled", "no such parcel"
		}
		all = append(all, l)
	}
	return all
}

func postForm(path string, values url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// However many are parked, a page shows a few, what they have in common, and the way
// to the others; and each can be found by what is known of it.
func TestManyDeadLetters(t *testing.T) {
	h := newHouse(t)
	h.letters = badDay()
	body := h.get("/dead-letters", 200, "5,000 keys", "Retry all 4,950", "Retry all 50", "keys 1 to 25 of 5,000", "more →", "no such parcel", "&#34;parcel&#34;: &#34;p-3&#34;")
	if n := strings.Count(body, `class="letter"`); n != 25 || len(body) > 200_000 {
		t.Errorf("the page shows %d keys in %d bytes", n, len(body))
	}
	h.get("/", 200, "5,000 keys parked in shipment", ">5,000</sup>")
	seen := 0
	for page := 1; page <= 200; page += 40 {
		seen += strings.Count(h.get(fmt.Sprint("/dead-letters?page=", page), 200), `class="letter"`)
	}
	if seen != 5*25 {
		t.Errorf("pages show %d keys", seen)
	}
	h.get("/dead-letters?page=200", 200, "keys 4,976 to 5,000 of 5,000", "<code>o-4999</code>")
	h.get("/dead-letters?page=1000", 200, "keys 4,976 to 5,000 of 5,000")
	h.get("/dead-letters?page=-1", 200, "keys 1 to 25")
	for q, key := range map[string]string{"o-4321": "o-4321", "P-1234": "o-1234", "id-77": "o-77", "@4007": "o-4007", "no such parcel": "o-107"} {
		if b := h.get("/dead-letters?q="+url.QueryEscape(q), 200, "<code>"+key+"</code>"); strings.Contains(b, "<code>o-3</code>") {
			t.Errorf("%s finds all", q)
		}
	}
	h.get("/dead-letters?q=nobody", 200, "Nothing that is parked is like this.")
	cause := body[strings.LastIndex(body[:strings.Index(body, "Retry all 50<")], `name="cause" value="`)+len(`name="cause" value="`):][:12]
	if b := h.get("/dead-letters?cause="+cause, 200, "50 keys of 5,000", "<code>o-7</code>"); strings.Contains(b, "<code>o-3</code>") {
		t.Error("the cause finds others")
	}

	h.background(h.page.Run)
	h.do(postForm("/dead-letters/retry-found", url.Values{"cause": {cause}}), 303, "/dead-letters?result=")
	over := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if b := h.get("/dead-letters", 200); strings.Contains(b, what) {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("the page never says %q: %s", what, b[strings.Index(b, "<main"):][:1500])
			}
		}
	}
	over("The retry of 50 keys is over")
	over("50 flow again")
	h.mu.Lock()
	if len(h.asked) != 50 {
		t.Errorf("%d keys were retried: %v", len(h.asked), h.asked)
	}
	h.asked, h.left = nil, 1
	h.mu.Unlock()
	h.do(postForm("/dead-letters/retry-found", url.Values{"q": {"o-4321"}}), 303)
	over("0 flow again, 1 failed again")
	h.do(postForm("/dead-letters/retry-found", url.Values{"q": {"nobody"}}), 303, "result=3")
	h.get("/dead-letters?result=3", 200, "Nothing like this is parked any more.")
	h.do(httptest.NewRequest(http.MethodGet, "/dead-letters/retry-found", nil), 404)
}

// A retry of many keys is one at a time, and can be stopped.
func TestBulkRetryIsStopped(t *testing.T) {
	hold := make(chan struct{})
	h := newHouse(t, func(c *console.Config) {
		c.Retry = func(ctx context.Context, _ string, _ streams.StreamID) (int, error) {
			select {
			case <-hold:
				return 0, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	})
	h.letters = badDay()
	h.background(h.page.Run)
	h.do(postForm("/dead-letters/retry-found", nil), 303, "result=1")
	h.get("/dead-letters?result=1", 200, "The retry of 5,000 keys has begun.", "Retrying: 0 of 5,000 keys so far", "Stop")
	h.do(postForm("/dead-letters/retry-found", nil), 303, "result=2")
	h.get("/dead-letters?result=2", 200, "Another retry is under way")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // until it has begun
		h.do(postForm("/dead-letters/stop", nil), 303)
		if strings.Contains(h.get("/dead-letters", 200), "The retry of 5,000 keys was stopped") {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("it goes on")
		}
	}
	close(hold)
}

// If the parked inputs cannot be read any more, what was read is shown with its age.
func TestOldDeadLettersTellTheirAge(t *testing.T) {
	var fails error
	now := time.Now()
	h := newHouse(t, func(c *console.Config) {
		letters := c.Letters
		c.Letters = func(ctx context.Context) ([]console.Letter, error) {
			l, _ := letters(ctx)
			return l, fails
		}
		c.Now = func() time.Time { return now }
	})
	h.letters = badDay()[:3]
	h.get("/dead-letters", 200, "3 keys")
	fails, now = errors.New("service shipping does not answer"), now.Add(7*time.Minute)
	h.get("/dead-letters", 200, "3 keys", "as of 7 min ago", "service shipping does not answer")
}

// What an event's type declares as personal is on no page; what only looks like it is.
func TestDataAreShownWithoutPersonalFields(t *testing.T) {
	h := newHouse(t)
	h.emit("4006381333931234", "", placed("4006381333931234", "ada"), event.HoldRequested{SKU: "4006381333931", Order: "4006381333931234", Quantity: 1})
	body := h.get("/sagas/4006381333931234", 200, "<code>4006381333931234</code>", "<code>4006381333931</code>", "&#34;customer&#34;: &#34;ada&#34;")

	for _, secret := range []string{"ada@", "tok_1", "Mill Lane"} {
		if strings.Contains(body, secret) {
			t.Errorf("the page shows %s", secret)
		}
	}
}
