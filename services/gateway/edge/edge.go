// Package edge is what the HTTP entrances share: how much of a request is
// read, how a refusal looks (RFC 9457), and where a request is traced.
package edge

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Limits of a request body.
const (
	MaxBody  = 1 << 20 // bytes, as sent and inflated
	MaxDepth = 64      // of nested JSON
)

// Problem is a refusal as application/problem+json, and an error.
type Problem struct {
	Code   string         // stable, for programs; sent as the type urn:weir:problem:Code
	Status int            // of HTTP
	Detail string         // for a person: what failed and what to do
	More   map[string]any // extension members
	// RetryAfter asks to try again after so many seconds, if above 0.
	RetryAfter int
}

func (p *Problem) Error() string { return p.Detail }

// Write answers with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	body := map[string]any{}
	for k, v := range p.More {
		body[k] = v
	}
	body["type"], body["title"], body["status"], body["detail"] = typePrefix+p.Code, http.StatusText(p.Status), p.Status, p.Detail
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	write(w, p.Status, "application/problem+json", body)
}

// ReadProblem reads what Write wrote, for those who ask other units.
func ReadProblem(status int, body []byte) *Problem {
	var p struct{ Type, Detail string }
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		p.Detail = "answered " + strconv.Itoa(status)
	}
	return &Problem{Code: strings.TrimPrefix(p.Type, typePrefix), Status: status, Detail: p.Detail}
}

const typePrefix = "urn:weir:problem:"

// JSON answers with a value.
func JSON(w http.ResponseWriter, status int, v any) { write(w, status, "application/json", v) }

func write(w http.ResponseWriter, status int, mediaType string, v any) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked has gone: nobody is left to tell
}

// Body reads a request's body, inflating gzip, up to MaxBody.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	var in io.Reader = http.MaxBytesReader(w, r.Body, MaxBody)
	switch enc := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, unreadable(err)
		}
		in = z
	default:
		return nil, &Problem{Code: "content-encoding", Status: http.StatusUnsupportedMediaType, Detail: "content encoding " + strconv.Quote(enc) + " is not understood: send gzip or none"}
	}
	b, err := io.ReadAll(io.LimitReader(in, MaxBody+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(b) > MaxBody {
		return nil, tooLarge()
	}
	return b, nil
}

func unreadable(err error) *Problem {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge()
	}
	return &Problem{Code: "unreadable-body", Status: http.StatusBadRequest, Detail: "the body cannot be read: " + err.Error()}
}

func tooLarge() *Problem {
	return &Problem{Code: "body-too-large", Status: http.StatusRequestEntityTooLarge, Detail: "the body is above 1048576 bytes, as sent or inflated: split it"}
}

// MediaType reads the request's content type; charsets other than UTF-8 and
// types that are not allowed are refused.
func MediaType(r *http.Request, allowed ...string) (string, *Problem) {
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && slices.Contains(allowed, t) && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")) {
		return t, nil
	}
	return "", &Problem{Code: "content-type", Status: http.StatusUnsupportedMediaType,
		Detail: "content type " + strconv.Quote(r.Header.Get("Content-Type")) + " is not accepted: send " + strings.Join(allowed, ", ") + " in UTF-8"}
}

// Methods is a resource: what answers each method. Others are refused with a
// problem and an Allow header.
type Methods map[string]http.HandlerFunc

func (m Methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead && m[method] == nil {
		method = http.MethodGet
	}
	if h := m[method]; h != nil {
		h(w, r)
		return
	}
	allow := make([]string, 0, len(m))
	for k := range m {
		allow = append(allow, k)
	}
	slices.Sort(allow)
	w.Header().Set("Allow", strings.Join(allow, ", "))
	(&Problem{Code: "method-not-allowed", Status: http.StatusMethodNotAllowed, Detail: r.Method + " is not possible here: use " + strings.Join(allow, " or ")}).Write(w)
}

// NotFound answers for paths that nothing serves.
func NotFound(w http.ResponseWriter, r *http.Request) {
	(&Problem{Code: "no-such-path", Status: http.StatusNotFound, Detail: "nothing is at " + strconv.Quote(r.URL.Path) + ": see /v1/openapi.json"}).Write(w)
}
