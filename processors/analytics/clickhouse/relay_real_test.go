//go:build real

package clickhouse_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// relay stands before the server, and breaks connections.
type relay struct {
	URL   string
	spoil func(*http.Request)           // what is done to each request; nil: nothing
	fails func(query string) (code int) // the server's error to give instead; 0: none

	mu   sync.Mutex
	cut  func(query string) when // what happens to a request; nil: nothing
	done int                     // requests that were cut
}

// when a connection breaks: before the server hears of the request, or after it has acted.
type when int

const (
	never when = iota
	before
	after
)

func newRelay(t testing.TB, server string) *relay {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		t.Fatalf("WEIR_REAL_CLICKHOUSE is %q: eval what servers env prints", server)
	}
	r := &relay{}
	to := httputil.NewSingleHostReverseProxy(u)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if r.spoil != nil {
			r.spoil(q)
		}
		query := q.URL.Query().Get("query")
		if query == "" { // it is the body
			b, err := io.ReadAll(q.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			query, q.Body = string(b), io.NopCloser(bytes.NewReader(b))
		}
		if r.fails != nil {
			if code := r.fails(query); code != 0 {
				w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(code))
				http.Error(w, fmt.Sprintf("Code: %d. DB::Exception: planted. (PLANTED)", code), http.StatusInternalServerError)
				return
			}
		}
		switch r.say(query) {
		case before:
			panic(http.ErrAbortHandler)
		case after:
			to.ServeHTTP(httptest.NewRecorder(), q)
			panic(http.ErrAbortHandler)
		}
		to.ServeHTTP(w, q)
	}))
	t.Cleanup(h.Close)
	r.URL = h.URL
	return r
}

func (r *relay) say(query string) when {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut == nil {
		return never
	}
	w := r.cut(query)
	if w != never {
		r.done++
	}
	return w
}

func (r *relay) set(cut func(query string) when) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut, r.done = cut, 0
}

func (r *relay) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

// insertsInto tells a request that writes to a table.
func insertsInto(query, table string) bool {
	return strings.HasPrefix(query, "INSERT INTO `"+table+"`")
}
