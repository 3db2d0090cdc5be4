package edge_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
)

// told is what the hook hears of a request.
type told struct {
	status int
	waited time.Duration
}

func hear(h http.HandlerFunc) (http.Handler, chan told) {
	heard := make(chan told, 1)
	return edge.Trace(func(*http.Request, string) (string, func(int, time.Duration)) {
		return "", func(s int, d time.Duration) { heard <- told{s, d} }
	}).Handler(anywhere, h), heard
}

// slowly gives its bytes after a second each.
type slowly struct{ io.Reader }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.Reader.Read(p[:1])
}

// A body that comes slowly, and a wait that the client asked for, are told as the
// client's.
func TestWaitingForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, heard := hear(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				t.Error(err)
			}
			began := time.Now()
			time.Sleep(2 * time.Second)
			edge.Waited(r.Context(), began)
			time.Sleep(time.Second) // ours
		})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", slowly{strings.NewReader("abc")}))
		if x := <-heard; x.status != 200 || x.waited < 5*time.Second || x.waited > 7*time.Second {
			t.Errorf("%+v", x)
		}
	})
}

// Who goes away before the answer has not seen us fail; who stays has.
func TestAClientThatGoesAway(t *testing.T) {
	failing := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	for _, stays := range []bool{true, false} {
		h, heard := hear(func(w http.ResponseWriter, r *http.Request) {
			if !stays {
				<-r.Context().Done()
			}
			failing(w, r)
		})
		srv := httptest.NewServer(h)
		ctx, cancel := context.WithCancel(t.Context())
		if !stays {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		var d net.Dialer
		client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		want := map[bool]int{true: 503, false: 499}[stays]
		if x := <-heard; x.status != want {
			t.Errorf("stays %v: told %d, want %d", stays, x.status, want)
		}
		cancel()
		client.CloseIdleConnections()
		srv.Close()
	}
}

// Who gives up because nothing is answered has seen us fail, unless it asked to wait.
func TestAClientThatGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		asked bool
		want  int
	}{
		"at once":              {50 * time.Millisecond, false, 499},
		"at last":              {2 * time.Second, false, 503},
		"of what it asked for": {2 * time.Second, true, 499},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, heard := hear(func(w http.ResponseWriter, r *http.Request) {
					began := time.Now()
					<-r.Context().Done()
					if c.asked {
						edge.Waited(r.Context(), began)
					}
					w.WriteHeader(http.StatusServiceUnavailable)
				})
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil).WithContext(ctx))
				if x := <-heard; x.status != c.want {
					t.Errorf("told %d, want %d", x.status, c.want)
				}
			})
		})
	}
}

// A handler that panics has answered nothing, or half of it.
func TestAHandlerThatPanics(t *testing.T) {
	for name, begin := range map[string]func(http.ResponseWriter){
		"before the answer": func(http.ResponseWriter) {},
		"within it":         func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) },
	} {
		t.Run(name, func(t *testing.T) {
			h, heard := hear(func(w http.ResponseWriter, r *http.Request) { begin(w); panic(http.ErrAbortHandler) })
			func() {
				defer func() { _ = recover() }() // as net/http does
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
			}()
			if x := <-heard; x.status != http.StatusInternalServerError {
				t.Errorf("told %d, want 500", x.status)
			}
		})
	}
}

func anywhere(*http.Request) string { return "/" }
