package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// selectTime bounds a question.
const selectTime = 30 * time.Second

// eachRow calls take for every row of a query.
func eachRow(ctx context.Context, conn driver.Conn, query string, take func(driver.Rows) error, args ...any) error {
	rows, err := conn.Query(ctx, query, args...)
	if err != nil {
		return known(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := take(rows); err != nil {
			return known(err)
		}
	}
	return known(rows.Err())
}

// Select runs a query that changes nothing.
func (s *Store) Select(ctx context.Context, sql string, args []any, most int64) (*analytics.Result, error) {
	// An aggregate of nothing is null, as in SQL.
	set := clickhouse.Settings{"max_execution_time": int(selectTime.Seconds()), "aggregate_functions_null_for_empty": 1}
	n, err := s.estimate(ctx, sql, args) // which refuses what is no query
	if err != nil {
		return nil, err
	}
	if most > 0 {
		if n > most {
			return nil, fmt.Errorf("%w: about %d rows, and %d is the most; ask for a shorter time", analytics.ErrTooMuch, n, most)
		}
		set["max_rows_to_read"] = most + most/2 // an estimate is one of whole granules
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(set))
	rows, err := s.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, tooMuch(err)
	}
	defer rows.Close()
	out := &analytics.Result{Columns: rows.Columns(), Read: n}
	types := rows.ColumnTypes()
	for rows.Next() {
		into := make([]any, len(types))
		for i, t := range types {
			into[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(into...); err != nil {
			return nil, known(err)
		}
		for i := range into {
			if into[i], err = plain(reflect.ValueOf(into[i])); err != nil {
				return nil, fmt.Errorf("column %s: %w", out.Columns[i], err)
			}
		}
		out.Rows = append(out.Rows, into)
	}
	if err := rows.Err(); err != nil {
		return nil, tooMuch(err)
	}
	if len(out.Columns) == 0 { // over HTTP, of no rows
		out.Columns, err = s.columns(ctx, sql, args)
	}
	return out, err
}

// columns are the names of those that a query answers.
func (s *Store) columns(ctx context.Context, sql string, args []any) (out []string, err error) {
	err = eachRow(ctx, s.conn, "DESCRIBE TABLE ("+sql+")", func(row driver.Rows) error {
		var name, none string
		err := row.Scan(&name, &none, &none, &none, &none, &none, &none)
		out = append(out, name)
		return err
	}, args...)
	return out, err
}

func tooMuch(err error) error {
	var e *clickhouse.Exception
	if errors.As(err, &e) && (e.Code == 158 || e.Code == 396) { // TOO_MANY_ROWS, TOO_MANY_ROWS_OR_BYTES
		return fmt.Errorf("%w: ask for a shorter time: %w", analytics.ErrTooMuch, err)
	}
	return known(err)
}

// estimate is how many rows a query would read.
func (s *Store) estimate(ctx context.Context, sql string, args []any) (n int64, err error) {
	err = eachRow(ctx, s.conn, "EXPLAIN ESTIMATE "+sql, func(row driver.Rows) error {
		var database, table string
		var parts, r, marks uint64
		err := row.Scan(&database, &table, &parts, &r, &marks)
		n += int64(r)
		return err
	}, args...)
	return n, err
}

// plain is a value as results have it.
func plain(v reflect.Value) (any, error) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil, nil
		}
		v = v.Elem()
	}
	switch {
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint()), nil
	case v.CanUint():
		return nil, fmt.Errorf("%d is beyond 64 bits with a sign", v.Uint())
	case v.CanFloat():
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			return nil, nil
		}
		return v.Float(), nil
	case v.Kind() == reflect.String:
		return v.String(), nil
	case v.Kind() == reflect.Bool:
		if v.Bool() {
			return int64(1), nil
		}
		return int64(0), nil
	case v.Type() == reflect.TypeFor[time.Time]():
		return projection.Nanos(v.Interface().(time.Time)), nil
	}
	return nil, fmt.Errorf("a %v is no value of a result", v.Type())
}
