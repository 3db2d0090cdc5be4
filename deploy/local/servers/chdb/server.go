package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// server speaks ClickHouse's HTTP interface, as far as clickhouse-go and curl
// use it, for an engine's sessions.
type server struct {
	sessions chan *session // that are free
}

// newServer opens sessions, which is how many statements run at a time.
func newServer(e *engine, data string, sessions int) (*server, error) {
	s := &server{sessions: make(chan *session, sessions)}
	for range sessions {
		one, err := e.open(data)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.sessions <- one
	}
	return s, nil
}

// Close ends the sessions that are free. One that still works is left alone.
func (s *server) Close() {
	for {
		select {
		case one := <-s.sessions:
			one.Close()
		default:
			return
		}
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ping" {
		fmt.Fprintln(w, "Ok.")
		return
	}
	q, err := parse(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := s.answer(r.Context(), q)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("X-ClickHouse-Format", q.format)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	if _, err := w.Write(answer); err != nil {
		slog.Warn("the client left before its answer", "error", err)
	}
}

// answer waits for a free session, as long as the client does.
func (s *server) answer(ctx context.Context, q *request) ([]byte, error) {
	select {
	case one := <-s.sessions:
		defer func() { s.sessions <- one }()
		return one.answer(q)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errorCode = regexp.MustCompile(`Code:\s*(\d+)`)

// refuse passes the engine's error on; the status of ClickHouse itself would tell
// a few kinds apart.
func refuse(w http.ResponseWriter, err error) {
	if code := errorCode.FindStringSubmatch(err.Error()); code != nil {
		w.Header().Set("X-ClickHouse-Exception-Code", code[1])
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// hello is what clickhouse-go asks first.
const hello = "SELECT displayName(), version(), revision(), timezone()"

// answer runs a request as if it had a session to itself: the database and the
// settings are the request's, and nothing of it is left behind.
func (s *session) answer(q *request) ([]byte, error) {
	if err := s.run([]byte("USE "+quoted(q.database, '`')), "Null", nil, nil); err != nil {
		return nil, err
	}
	defer s.forget(q.settings)
	for name, value := range q.settings {
		if err := s.run([]byte("SET "+name+" = "+quoted(value, '\'')), "Null", nil, nil); err != nil {
			return nil, err
		}
	}
	if q.data != nil {
		return nil, s.write(q.query, q.format, q.data)
	}
	var out []byte
	run := func(b []byte) error { out = bytes.Clone(b); return nil }
	if q.compress != "" {
		run = func(b []byte) (err error) { out, err = compressed(b, q.compress); return err }
	}
	if string(q.query) == hello {
		return out, s.greet(q, run)
	}
	err := s.run(q.query, q.format, q.parameters, run)
	return out, err
}

func (s *session) forget(settings map[string]string) {
	for name := range settings {
		if err := s.run([]byte("SET "+name+" = DEFAULT"), "Null", nil, nil); err != nil {
			slog.Warn("a setting stays with its session", "setting", name, "error", err)
		}
	}
}

func quoted(s string, with byte) string {
	q := string(with)
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(s) + q
}

// greet answers hello in the client's revision of the format Native, and says
// that the server's is 0, as the engine writes that one, without being told.
func (s *session) greet(q *request, use func([]byte) error) error {
	var version, zone string
	err := s.run([]byte("SELECT version(), timezone()"), "TabSeparated", nil, func(b []byte) error {
		version, zone, _ = strings.Cut(strings.TrimSpace(string(b)), "\t")
		return nil
	})
	if err != nil {
		return err
	}
	revision, err := strconv.ParseUint(q.revision, 10, 64)
	if err != nil {
		return fmt.Errorf("client_protocol_version: %w", err)
	}
	var block proto.Block
	for _, c := range [][2]string{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(c[0], column.Type(c[1])); err != nil {
			return err
		}
	}
	if err := block.Append("weir", version, uint32(0), zone); err != nil {
		return err
	}
	var out chproto.Buffer
	if err := block.Encode(&out, revision); err != nil {
		return err
	}
	return use(out.Buf)
}

// compressed writes blocks of at most 1 MiB of data.
func compressed(b []byte, method string) ([]byte, error) {
	by := compress.LZ4
	switch strings.ToUpper(method) {
	case "LZ4":
	case "ZSTD":
		by = compress.ZSTD
	default:
		return nil, fmt.Errorf("network_compression_method %s is not supported: use LZ4 or ZSTD", method)
	}
	w := compress.NewWriter(compress.LevelZero, by)
	var out []byte
	for in := bytes.NewBuffer(b); in.Len() > 0; {
		if err := w.Compress(in.Next(1 << 20)); err != nil {
			return nil, err
		}
		out = append(out, w.Data...)
	}
	return out, nil
}
