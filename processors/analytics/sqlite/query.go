package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
)

// Select runs a query that changes nothing. It counts all rows of each table that is read
// against most, whatever an index leaves out, and says that so many were read.
func (s *Store) Select(ctx context.Context, query string, args []any, most int64) (*analytics.Result, error) {
	conn, err := s.questions.Conn(ctx)
	if err != nil {
		return nil, sqlitefile.Failed("the question cannot be asked", err)
	}
	defer conn.Close()
	var read []string
	if err := authorize(conn, readOnly(&read)); err != nil {
		return nil, err
	}
	defer authorize(conn, nil)
	if err := sqlitefile.Each(ctx, conn, "EXPLAIN QUERY PLAN "+query, func(*sql.Rows) error { return nil }, args...); err != nil {
		return nil, unanswered(ctx, err)
	}
	n, err := s.bounded(ctx, conn, slices.Clone(read), most)
	if err != nil {
		return nil, err
	}
	out := &analytics.Result{Read: n}
	if err := answer(ctx, conn, query, args, out); err != nil {
		return nil, unanswered(ctx, err)
	}
	return out, nil
}

func unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && strings.Contains(err.Error(), "integer overflow") { // of sum(); no code of its own
		return fmt.Errorf("%w: a sum of it is beyond 64 bits, which is as much as the file can add up; ask for less", analytics.ErrTooMuch)
	}
	return sqlitefile.Failed("the question cannot be answered", err)
}

func authorize(conn *sql.Conn, f sqlite.AuthorizerFn) error {
	return conn.Raw(func(c any) error {
		r, ok := c.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver of SQLite does not say what a question reads")
		}
		return r.RegisterAuthorizer(f)
	})
}

// readOnly lets statements read, and notes what. A query alone could make a connection
// writable again, or open another file.
func readOnly(read *[]string) sqlite.AuthorizerFn {
	return func(action sqlite.AuthorizerActionCode, table, _, _, _ string) sqlite.AuthorizerReturnCode {
		switch action {
		case sqlite.AuthRead:
			if !slices.Contains(*read, table) {
				*read = append(*read, table)
			}
		case sqlite.AuthSelect, sqlite.AuthFunction, sqlite.AuthRecursive:
		default:
			return sqlite.AuthorizerDeny
		}
		return sqlite.AuthorizerOK
	}
}

// bounded counts the rows of the tables that are read, and refuses too many.
func (s *Store) bounded(ctx context.Context, conn *sql.Conn, read []string, most int64) (all int64, err error) {
	for _, name := range read {
		if _, ok := s.schema.Table(name); !ok {
			continue
		}
		n, err := rowCount(ctx, conn, name)
		if err != nil {
			return 0, err
		}
		all += n
	}
	if most > 0 && all > most {
		return 0, fmt.Errorf("%w: there are %d rows in %v, and %d is the most: ask for fewer tables, or with a higher bound", analytics.ErrTooMuch, all, read, most)
	}
	return all, nil
}

func answer(ctx context.Context, conn *sql.Conn, query string, args []any, out *analytics.Result) error {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if out.Columns, err = rows.Columns(); err != nil {
		return err
	}
	for rows.Next() {
		row := make([]any, len(out.Columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok {
				row[i] = string(b)
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return rows.Err()
}
