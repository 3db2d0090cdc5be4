package edge

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Trace is called once for each request, with the route that it takes, and returns the W3C traceparent that
// events and commands of the request carry on; done hears the status, once, and how
// long the request waited for its client: for the body, for the answer to be taken,
// or for what it asked to wait for. That is not the platform's time. A handler that
// panics is told as 500.
type Trace func(r *http.Request, route string) (traceparent string, done func(status int, waited time.Duration))

// visit is what is known of a request under way.
type visit struct {
	traceparent string
	waited      atomic.Int64 // nanoseconds
}

type visitKey struct{}

// Waited tells that a request waited from a time on because its client asked for it.
func Waited(ctx context.Context, from time.Time) {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		v.waited.Add(int64(time.Since(from)))
	}
}

// statusGone is what is told of a request whose client went away, as nginx has it.
const statusGone = 499

// patience is how long a client waits for us before its leaving is our failure: a
// time-out of its own would hide that nothing is answered.
const patience = time.Second

// Handler calls the hook around h; without a hook the request's own
// traceparent is carried on. route tells the route of a request; empty if there is none.
func (t Trace) Handler(route func(*http.Request) string, h http.Handler) http.Handler {
	if t == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tp, done := t(r, route(r))
		v := &visit{traceparent: tp}
		s := &answerWriter{ResponseWriter: w, visit: v, status: http.StatusOK}
		began, finished := time.Now(), false
		if done != nil {
			defer func() {
				waited := time.Duration(v.waited.Load())
				switch {
				case !finished: // it panicked, and whoever asked is cut off
					s.status = http.StatusInternalServerError
				case s.status >= 500 && r.Context().Err() != nil && time.Since(began)-waited < patience: // it failed at the client's leaving
					s.status = statusGone
				}
				done(s.status, waited)
			}()
		}
		in := r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
		in.Body = body{r.Body, v}
		h.ServeHTTP(s, in)
		finished = true
	})
}

// body is a request's, which comes as slowly as its client sends it.
type body struct {
	io.ReadCloser
	visit *visit
}

func (b body) Read(p []byte) (int, error) {
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.visit.waited.Add(int64(time.Since(began)))
	return n, err
}

// Traceparent is the trace that what the request causes belongs to; empty if
// there is none, or if the request's is not a W3C traceparent.
func Traceparent(r *http.Request) string {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return v.traceparent
	}
	if tp := r.Header.Get("Traceparent"); ValidTraceparent(tp) {
		return tp
	}
	return ""
}

// ValidTraceparent reports whether tp is of the form 00-<32 hex>-<16 hex>-<2 hex>.
func ValidTraceparent(tp string) bool {
	if len(tp) != 55 {
		return false
	}
	for i := range len(tp) {
		c := tp[i]
		if i == 2 || i == 35 || i == 52 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return tp[:2] != "ff" && strings.Trim(tp[3:35], "0") != "" && strings.Trim(tp[36:52], "0") != ""
}

// answerWriter writes an answer, which is taken as slowly as its client reads it.
type answerWriter struct {
	http.ResponseWriter
	visit  *visit
	status int
}

func (a *answerWriter) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerWriter) Write(p []byte) (int, error) {
	began := time.Now()
	n, err := a.ResponseWriter.Write(p)
	a.visit.waited.Add(int64(time.Since(began)))
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
