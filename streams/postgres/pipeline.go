package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// statement is one that connections prepare for a service, under the service's
// prefix and its name.
type statement struct{ name, sql string }

var statements []statement

func prepared(name, sql string) statement {
	statements = append(statements, statement{name, sql})
	return statement{name, sql}
}

// prepare prepares all statements of the service's commits in one round trip, once on
// a connection. Not each when it is needed: that would end the transaction in whose
// middle it is. A connection on which it fails is of no use, as some may be there.
func (s *Store) prepare(ctx context.Context, c *pgx.Conn) error {
	known := c.PgConn().CustomData()
	if known[s.service.prefix] != nil {
		return nil
	}
	p := c.PgConn().StartPipeline(ctx)
	for _, st := range statements {
		p.SendPrepare(s.service.prefix+st.name, s.sql(st.sql), nil)
	}
	err := p.Sync()
	for range statements {
		if err == nil {
			_, err = p.GetResults()
		}
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return unconnected{errors.Join(err, c.Close(ctx))}
	}
	known[s.service.prefix] = true
	return nil
}

// pipeline collects the messages of one transaction: statements and COPYs, one
// after the other. They are written before any answer is read. The server runs
// all up to the Sync as one implicit transaction: the first error skips the rest,
// COPY data included, and rolls back. pgx's own pipelines cannot COPY, and its
// CopyFrom is a round trip of its own.
//
// The server's answers are short against the sockets' buffers, so it never waits
// for them to be read while we write.
type pipeline struct {
	ctx   context.Context
	conn  *pgx.Conn
	names string // prefix of the statements' names
	buf   []byte
	sent  []statement
	done  int    // statements that are answered
	row   []byte // the first column of the last row of an answer
	frame int    // where the CopyData message begins that is being filled
	err   error
}

// copyFrame is how long a CopyData message gets: the server keeps one in memory.
const copyFrame = 64 << 10

// run adds a statement with its parameters in their binary formats.
func (p *pipeline) run(st statement, params ...[]byte) {
	p.add(&pgproto3.Bind{PreparedStatement: p.names + st.name, ParameterFormatCodes: []int16{1}, Parameters: params, ResultFormatCodes: []int16{1}})
	p.add(&pgproto3.Execute{})
	p.sent = append(p.sent, st)
}

func (p *pipeline) add(m pgproto3.FrontendMessage) {
	if p.err == nil {
		p.buf, p.err = m.Encode(p.buf)
	}
}

// copy adds a COPY of n rows in the binary format; row adds one's fields.
func (p *pipeline) copy(st statement, columns, n int, row func(i int)) {
	if n == 0 {
		return
	}
	p.run(st)
	p.begin()
	p.buf = append(p.buf, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	for i := range n {
		p.buf = binary.BigEndian.AppendUint16(p.buf, uint16(columns))
		row(i)
		if len(p.buf)-p.frame > copyFrame {
			p.end()
			p.begin()
		}
	}
	p.buf = append(p.buf, 0xff, 0xff)
	p.end()
	p.add(&pgproto3.CopyDone{})
}

func (p *pipeline) begin() {
	p.frame = len(p.buf)
	p.buf = append(p.buf, 'd', 0, 0, 0, 0)
}

func (p *pipeline) end() {
	binary.BigEndian.PutUint32(p.buf[p.frame+1:], uint32(len(p.buf)-p.frame-1))
}

func (p *pipeline) int32(n int32)  { p.buf = appendInt32(p.buf, n) }
func (p *pipeline) int64(n int64)  { p.buf = appendInt64(p.buf, n) }
func (p *pipeline) text(s string)  { p.buf = appendBytes(p.buf, s) }
func (p *pipeline) bytes(b []byte) { p.buf = appendBytes(p.buf, b) }
func (p *pipeline) at(t time.Time) { p.int64(nanos(t)) }

// failure is an error that the server answered with, and the statement that it
// refused. Nothing of the transaction is kept.
type failure struct {
	st statement
	error
}

func (e failure) Unwrap() error { return e.error }

// ask writes what is collected, and reads the answers; the transaction goes on. A
// refusal ends it.
func (p *pipeline) ask() error {
	refusal, err := p.exchange(&pgproto3.Flush{})
	if refusal == nil || err != nil {
		return err
	}
	if _, err = p.exchange(&pgproto3.Sync{}); err != nil {
		return err
	}
	return refusal
}

// commit writes what is collected, ends the transaction and reads the answers. An
// error that is no failure leaves the outcome unknown, and the connection of no
// use.
func (p *pipeline) commit() error {
	refusal, err := p.exchange(&pgproto3.Sync{})
	if err != nil {
		return err
	}
	return refusal
}

// exchange ends the messages with one that makes the server answer.
func (p *pipeline) exchange(last pgproto3.FrontendMessage) (refusal, err error) {
	p.add(last)
	if p.err != nil { // a value is too long for the protocol
		p.drop()
		return nil, p.err
	}
	nc := p.conn.PgConn().Conn()
	stop := context.AfterFunc(p.ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) }) // fails where nc is closed already
	if _, err = nc.Write(p.buf); err == nil {
		_, ends := last.(*pgproto3.Sync)
		refusal, err = p.answers(ends)
	}
	if err != nil {
		err = fmt.Errorf("the connection broke, the transaction may be done or not: %w", err)
	}
	if ended := !stop(); ended || err != nil {
		p.drop()
	}
	p.buf = p.buf[:0]
	return refusal, err
}

// drop closes the connection: the pool makes another. The server rolls back what
// was not committed.
func (p *pipeline) drop() {
	closing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.PgConn().Close(closing) // it is of no use, closed well or not
}

// answers reads up to the last statement's, or to the end of the transaction.
func (p *pipeline) answers(ends bool) (refusal, err error) {
	f := p.conn.PgConn().Frontend()
	for ends || p.done < len(p.sent) {
		m, err := f.Receive()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			p.row = bytes.Clone(m.Values[0])
		case *pgproto3.CommandComplete:
			p.done++
		case *pgproto3.ErrorResponse:
			e := pgconn.ErrorResponseToPgError(m)
			if spoils(e) {
				return nil, e
			}
			refusal = failure{p.sent[min(p.done, len(p.sent)-1)], e}
			if !ends {
				return refusal, nil
			}
		case *pgproto3.ReadyForQuery:
			return refusal, nil
		}
	}
	return nil, nil
}

func appendInt32(b []byte, n int32) []byte {
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(n))
}

func appendInt64(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(n))
}

func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// Object ids of element types, from the server's pg_type.
const (
	oidBytea = 17
	oidInt8  = 20
	oidInt4  = 23
	oidText  = 25
)

// array is n elements as a parameter: unnest makes rows of several of them.
func array(oid uint32, n int, element func(b []byte, i int) []byte) []byte {
	b := make([]byte, 0, 20+n*24)
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 0) // no NULLs
	b = binary.BigEndian.AppendUint32(b, oid)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = binary.BigEndian.AppendUint32(b, 1) // the first index
	for i := range n {
		b = element(b, i)
	}
	return b
}

// int8s are the elements of a bigint[] in its binary format, without NULLs.
func int8s(b []byte) []int64 {
	if len(b) < 20 {
		return nil
	}
	ns := make([]int64, 0, len(b)/12)
	for b = b[20:]; len(b) >= 12; b = b[12:] {
		ns = append(ns, num(b[4:12]))
	}
	return ns
}
