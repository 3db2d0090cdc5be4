package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// request is a statement as ClickHouse's HTTP interface takes it: the query in
// the URL, in the body, or its beginning in the URL and its data in the body.
type request struct {
	query      []byte
	data       []byte // of an INSERT, apart from its query
	format     string // of data, or else of the answer
	database   string
	revision   string // of the client's protocol
	compress   string // the answer in blocks, by this method; "" leaves it plain
	parameters map[string]string
	settings   map[string]string
}

// own are the URL's parameters that are neither settings nor of a query.
var own = map[string]bool{
	"query": true, "database": true, "default_format": true, "compress": true, "decompress": true,
	"client_protocol_version": true, "query_id": true, "quota_key": true, "user": true, "password": true,
	"wait_end_of_query": true, "buffer_size": true, "enable_http_compression": true,
}

var (
	insertFormat = regexp.MustCompile(`(?is)^\s*(INSERT\s+INTO\s.*)\s+FORMAT\s+(\w+)\s*$`)
	settingName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// parse reads a request. Its errors are the client's.
func parse(r *http.Request) (*request, error) {
	v := r.URL.Query()
	body, err := read(r, v.Get("decompress") == "1")
	if err != nil {
		return nil, err
	}
	q := &request{
		format:     first(r.Header.Get("X-ClickHouse-Format"), v.Get("default_format"), "TabSeparated"),
		database:   first(v.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		revision:   v.Get("client_protocol_version"),
		parameters: map[string]string{},
		settings:   map[string]string{},
	}
	q.statement(v.Get("query"), body)
	return q, q.options(v)
}

func (q *request) statement(query string, body []byte) {
	insert := insertFormat.FindStringSubmatch(query)
	switch {
	case query == "":
		q.query = body
	case insert != nil && len(body) > 0:
		q.query, q.format, q.data = []byte(insert[1]), insert[2], body
	case len(body) > 0:
		q.query = append([]byte(query+"\n"), body...)
	default:
		q.query = []byte(query)
	}
}

func (q *request) options(v url.Values) error {
	if v.Get("compress") == "1" {
		q.compress = first(v.Get("network_compression_method"), "LZ4")
	}
	for name := range v {
		parameter, isParameter := strings.CutPrefix(name, "param_")
		switch {
		case isParameter:
			q.parameters[parameter] = v.Get(name)
		case own[name]:
		case name == "session_id" || name == "role":
			return fmt.Errorf("%s is not supported: every request is on its own here", name)
		case settingName.MatchString(name):
			q.settings[name] = v.Get(name)
		default:
			return fmt.Errorf("%q cannot be a setting", name)
		}
	}
	return nil
}

// read takes the body, of at most 256 MiB.
func read(r *http.Request, compressed bool) ([]byte, error) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		return nil, fmt.Errorf("content encoding %s is not supported: compress with LZ4 or ZSTD, or not at all", encoding)
	}
	body := io.Reader(http.MaxBytesReader(nil, r.Body, 256<<20))
	if compressed {
		body = compress.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil && !errors.Is(err, io.EOF) { // ch-go wraps it
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return b, nil
}

func first(options ...string) string {
	for _, s := range options {
		if s != "" {
			return s
		}
	}
	return ""
}
