package main

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// engine is libchdb, the C library that ClickHouse is in; chdb.h says more.
type engine struct {
	signals func(enabled int32)
	connect func(argc int32, argv []unsafe.Pointer) unsafe.Pointer
	close   func(connection unsafe.Pointer)

	query      func(handle unsafe.Pointer, query []byte, size uintptr, format []byte, formatSize uintptr) unsafe.Pointer
	queryWith  func(handle unsafe.Pointer, query []byte, size uintptr, format []byte, formatSize uintptr, names []unsafe.Pointer, nameSizes []uintptr, values []unsafe.Pointer, valueSizes []uintptr, count uintptr) unsafe.Pointer
	buffer     func(result unsafe.Pointer) unsafe.Pointer
	length     func(result unsafe.Pointer) uintptr
	failure    func(result unsafe.Pointer) string
	freeResult func(result unsafe.Pointer)

	insert        func(handle unsafe.Pointer, query []byte, size uintptr, format []byte, formatSize uintptr) unsafe.Pointer
	insertAppend  func(stream unsafe.Pointer, data []byte, size uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertFailure func(stream unsafe.Pointer) string
	freeInsert    func(stream unsafe.Pointer)
}

// load opens the library of this path. Its signal handlers stay off: they would
// replace those of Go.
func load(path string) (*engine, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	e := &engine{}
	for name, function := range map[string]any{
		"chdb_set_signal_handlers_enabled": &e.signals,
		"chdb_connect":                     &e.connect,
		"chdb_close_conn":                  &e.close,
		"chdb_query_n":                     &e.query,
		"chdb_query_with_params_n":         &e.queryWith,
		"chdb_result_buffer":               &e.buffer,
		"chdb_result_length":               &e.length,
		"chdb_result_error":                &e.failure,
		"chdb_destroy_query_result":        &e.freeResult,
		"chdb_stream_insert_n":             &e.insert,
		"chdb_stream_append":               &e.insertAppend,
		"chdb_stream_done":                 &e.insertDone,
		"chdb_stream_insert_error":         &e.insertFailure,
		"chdb_destroy_insert_stream":       &e.freeInsert,
	} {
		purego.RegisterLibFunc(function, lib, name)
	}
	e.signals(0)
	return e, nil
}

// session runs one statement at a time.
type session struct {
	*engine
	connection unsafe.Pointer // to the handle
}

// open makes a session on the data in a directory, the same one for all.
func (e *engine) open(data string) (*session, error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := []unsafe.Pointer{text(&pins, "clickhouse"), text(&pins, "--path="+data)}
	connection := e.connect(int32(len(argv)), argv)
	if connection == nil {
		return nil, fmt.Errorf("open %s: the engine refuses it; is it a directory, writable, and of no other engine?", data)
	}
	return &session{engine: e, connection: connection}, nil
}

// text is a C string that lives as long as the pins.
func text(pins *runtime.Pinner, s string) unsafe.Pointer {
	b := append([]byte(s), 0)
	pins.Pin(&b[0])
	return unsafe.Pointer(&b[0])
}

func (s *session) handle() unsafe.Pointer { return *(*unsafe.Pointer)(s.connection) }

// Close ends the session. With a query under way it would abort the process.
func (s *session) Close() { s.close(s.connection) }

// run executes a query and hands its output, in a format, to use; the bytes are
// the engine's own and end with it. The format is for queries that name none.
func (s *session) run(query []byte, format string, parameters map[string]string, use func([]byte) error) error {
	if len(query) == 0 {
		return errors.New("the request has no query")
	}
	if len(parameters) == 0 {
		return s.finish(s.query(s.handle(), query, uintptr(len(query)), []byte(format), uintptr(len(format))), use)
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	var names, values []unsafe.Pointer
	var nameSizes, valueSizes []uintptr
	for name, value := range parameters {
		names, nameSizes = append(names, text(&pins, name)), append(nameSizes, uintptr(len(name)))
		values, valueSizes = append(values, text(&pins, value)), append(valueSizes, uintptr(len(value)))
	}
	return s.finish(s.queryWith(s.handle(), query, uintptr(len(query)), []byte(format), uintptr(len(format)),
		names, nameSizes, values, valueSizes, uintptr(len(names))), use)
}

// write inserts data in a binary or text format; the statement names no format.
// Data inline in the statement, as run would take it, breaks at binary formats.
func (s *session) write(statement []byte, format string, data []byte) error {
	stream := s.insert(s.handle(), statement, uintptr(len(statement)), []byte(format), uintptr(len(format)))
	defer s.freeInsert(stream)
	if message := s.insertFailure(stream); message != "" {
		return errors.New(message)
	}
	if s.insertAppend(stream, data, uintptr(len(data))) != 0 {
		return errors.New(s.insertFailure(stream))
	}
	return s.finish(s.insertDone(stream), nil)
}

func (s *session) finish(result unsafe.Pointer, use func([]byte) error) error {
	if result == nil {
		return errors.New("the engine gave no result")
	}
	defer s.freeResult(result)
	if message := s.failure(result); message != "" {
		return errors.New(message)
	}
	if use == nil {
		return nil
	}
	return use(unsafe.Slice((*byte)(s.buffer(result)), s.length(result)))
}
