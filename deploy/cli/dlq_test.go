package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/weirstream/weir/deploy/platform"
)

// desk has many parked keys, in pages or as many as one answer takes; every third
// fails again.
type desk struct {
	mu     sync.Mutex
	keys   []string
	paged  bool
	answer int // keys in one answer
}

func newDesk(t *testing.T, n int, paged bool) (*desk, string) {
	d := &desk{paged: paged, answer: 1000}
	for i := range n {
		d.keys = append(d.keys, fmt.Sprintf("k%d", i))
	}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	return d, srv.URL
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodPost {
		parts := strings.Split(r.URL.Path, "/")
		n, _ := strconv.Atoi(strings.TrimPrefix(parts[len(parts)-2], "k"))
		if n%3 == 0 {
			fmt.Fprint(w, `{"left":2}`)
			return
		}
		for i, k := range d.keys {
			if k == parts[len(parts)-2] {
				d.keys = append(d.keys[:i:i], d.keys[i+1:]...)
				break
			}
		}
		fmt.Fprint(w, `{"left":0}`)
		return
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("page"))
	to := min(from+d.answer, len(d.keys))
	l := struct {
		platform.Letters
		Next string `json:"next,omitempty"`
	}{}
	for _, k := range d.keys[from:to] {
		l.DeadLetters = append(l.DeadLetters, platform.Letter{Service: "order", Decider: "order", Key: k, Reason: "a\x1b[2Jb"})
	}
	if d.paged && to < len(d.keys) {
		l.Next = strconv.Itoa(to)
	}
	_ = json.NewEncoder(w).Encode(l)
}

// A list goes on behind its first page, or says that it does not.
func TestParkedInputsAreListedToTheEnd(t *testing.T) {
	_, url := newDesk(t, 2500, true)
	var l list[platform.Letter]
	said := run(t, 0, "dlq", "ls", "--url", url, "--limit", "0", "-o", "json")
	if err := json.Unmarshal([]byte(said), &l); err != nil || len(l.Items) != 2500 || l.More {
		t.Errorf("%d items, more: %v (%v)", len(l.Items), l.More, err)
	}
	said = run(t, 0, "dlq", "ls", "--url", url)
	contains(t, said, "these are 1000, and there are more")
	if strings.Contains(said, "\x1b") {
		t.Error("what others wrote commands the terminal")
	}
	contains(t, run(t, 0, "dlq", "ls", "--url", url, "--limit", "7", "-o", "json"), `"more": true`, "these are 7,")
	if said := run(t, 0, "dlq", "ls", "--url", url, "--limit", "2500"); strings.Contains(said, "more:") {
		t.Error("a list that is complete is said not to be")
	}
}

// Every parked key is tried once, and it is told what became of all.
func TestRetryAll(t *testing.T) {
	for _, paged := range []bool{true, false} {
		_, url := newDesk(t, 1500, paged)
		said := run(t, 1, "dlq", "retry", "--all", "--service", "order", "--url", url)
		contains(t, said, "1000 keys flow again, 500 failed again (1000 inputs are still parked)", "order order k0;", "see weir dlq show")
	}
	_, url := newDesk(t, 0, true)
	contains(t, run(t, 0, "dlq", "retry", "--all", "--url", url), "nothing is parked")
	d, url := newDesk(t, 9, true)
	contains(t, run(t, 0, "dlq", "drop", "order", "order", "k1", "k2", "--url", url), "2 keys flow again, 0 failed")
	if len(d.keys) != 7 {
		t.Errorf("%d of 9 are left", len(d.keys))
	}
	contains(t, run(t, 1, "dlq", "drop", "--all", "--service", "order", "--url", url), "4 keys flow again, 3 failed")
	contains(t, run(t, 3, "dlq", "retry", "order", "order", "k1", "--url", "http://127.0.0.1:1"), "nobody answers")
}

// A list that claims to go on with the page that was just read would be read for ever.
func TestAPageThatIsItsOwnNextEnds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"items":[],"next":"x"}`)
	}))
	defer srv.Close()
	contains(t, run(t, 1, "saga", "ls", "--url", srv.URL, "--limit", "0"), "does not go on")
}
