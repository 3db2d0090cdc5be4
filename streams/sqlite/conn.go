package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements. It talks to the driver
// without database/sql, whose argument checks and locks cost more per statement
// than SQLite's own work on a row. It belongs to one goroutine at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

// dsn is how a connection opens the file. The driver applies busy_timeout before
// any other pragma, and the page size only matters while the file is empty. Larger
// pages make the log longer where a batch's streams are far apart.
func dsn(path string, o *options, readOnly bool) string {
	cache := o.cacheKB
	if readOnly {
		cache /= 8
	}
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", o.busy.Milliseconds()),
		"page_size(4096)",
		"journal_mode(WAL)",
		"synchronous(" + o.synchronous + ")",
		"wal_autocheckpoint(0)", // see checkpoint.go
		fmt.Sprintf("cache_size(-%d)", cache),
		"temp_store(MEMORY)",
	}}
	if readOnly {
		q.Set("_query_only", "1")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// dial opens a connection. Two processes that make the same file at once can
// meet a lock that SQLite reports without waiting, so a busy file is tried again.
func dial(path string, o *options, readOnly bool) (*conn, error) {
	for try := 0; ; try++ {
		raw, err := new(sqlite.Driver).Open(dsn(path, o, readOnly))
		if err == nil {
			return &conn{raw: raw, stmts: map[string]driver.Stmt{}}, nil
		}
		if !isBusy(err) || try == 20 {
			return nil, err
		}
		time.Sleep(25 * time.Millisecond)
	}
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.Close()
	}
	return c.raw.Close()
}

func (c *conn) prepare(query string) (driver.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.raw.Prepare(query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) bind(vals []driver.Value) []driver.NamedValue {
	for len(c.args) < len(vals) {
		c.args = append(c.args, driver.NamedValue{Ordinal: len(c.args) + 1})
	}
	args := c.args[:len(vals)]
	for i, v := range vals {
		args[i].Value = v
	}
	return args
}

// unbind lets go of what the caller's rows hold.
func unbind(args []driver.NamedValue) {
	for i := range args {
		args[i].Value = nil
	}
}

// exec runs a statement and tells how many rows it changed. The context is one
// that cannot end: with any other the driver starts a goroutine per call.
func (c *conn) exec(query string, vals ...driver.Value) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	args := c.bind(vals)
	defer unbind(args)
	r, err := s.(driver.StmtExecContext).ExecContext(context.Background(), args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// errEnough ends a query early, without an error.
var errEnough = errors.New("enough rows")

// query calls f for every row; f may keep the values but not the slice.
func (c *conn) query(query string, vals []driver.Value, f func(row []driver.Value) error) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	args := c.bind(vals)
	defer unbind(args)
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), args)
	if err != nil {
		return err
	}
	err = eachRow(rows, f)
	if cerr := rows.Close(); err == nil {
		err = cerr
	}
	return err
}

func eachRow(rows driver.Rows, f func([]driver.Value) error) error {
	row := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(row); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		switch err := f(row); {
		case err == errEnough:
			return nil
		case err != nil:
			return err
		}
	}
}

// sizes are the numbers of rows that one statement carries: a call costs
// several microseconds before SQLite does any work, and only statements of a
// fixed size can be prepared once.
var sizes = [...]int{64, 8, 1}

// bulk is one statement in each of the sizes.
type bulk struct {
	cols  int
	query [len(sizes)]string
}

// newBulk makes the statements from a row's placeholders, where "#" stands for
// the row's index.
func newBulk(head, row, tail string) *bulk {
	b := &bulk{cols: strings.Count(row, "?")}
	for i, n := range sizes {
		rows := make([]string, n)
		for j := range rows {
			rows[j] = strings.ReplaceAll(row, "#", fmt.Sprint(j))
		}
		b.query[i] = head + strings.Join(rows, ",") + tail
	}
	return b
}

// each cuts the values of many rows into pieces of the fixed sizes.
func (b *bulk) each(vals []driver.Value, f func(query string, row int, vals []driver.Value) error) error {
	row := 0
	for i, n := range sizes {
		for len(vals) >= n*b.cols {
			if err := f(b.query[i], row, vals[:n*b.cols]); err != nil {
				return err
			}
			vals, row = vals[n*b.cols:], row+n
		}
	}
	return nil
}

// execBulk runs the statement for all rows.
func (c *conn) execBulk(b *bulk, vals []driver.Value) error {
	return b.each(vals, func(query string, _ int, vals []driver.Value) error {
		_, err := c.exec(query, vals...)
		return err
	})
}

// Columns come back as what was stored in them; a NULL is the zero value.
func num(v driver.Value) int64   { n, _ := v.(int64); return n }
func text(v driver.Value) string { s, _ := v.(string); return s }
func blob(v driver.Value) []byte { b, _ := v.([]byte); return b }

// setBusyTimeout is for how long to wait for another connection's lock.
func (c *conn) setBusyTimeout(d time.Duration) {
	c.query(fmt.Sprintf("PRAGMA busy_timeout=%d", d.Milliseconds()), nil, func([]driver.Value) error { return nil })
}
