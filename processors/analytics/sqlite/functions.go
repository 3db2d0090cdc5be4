package sqlite

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a machine may have no time zones

	"modernc.org/sqlite"

	"github.com/weirstream/weir/processors/analytics"
)

// They are of all connections that are opened later, in this process.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("weir_bucket", 3, bucket)
	sqlite.MustRegisterDeterministicScalarFunction("weir_scaled", 2, scaled)
	sqlite.MustRegisterDeterministicScalarFunction("weir_lastupto", 2, lastUpTo)
	for name, f := range map[string]*sqlite.FunctionImpl{
		"weir_quantile": {NArgs: 2, Deterministic: true, MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return &quantile{}, nil }},
		"weir_argmax":   {NArgs: 3, Deterministic: true, MakeAggregate: func(sqlite.FunctionContext) (sqlite.AggregateFunction, error) { return &argmax{}, nil }},
	} {
		if err := sqlite.RegisterFunction(name, f); err != nil {
			panic(err) // two of one name
		}
	}
}

// formats are those of the labels of buckets; a week has none.
var formats = map[string]string{"hour": "2006-01-02 15:00", "day": "2006-01-02", "month": "2006-01", "year": "2006"}

var zones sync.Map // by name: as many as there are

func zone(name string) (*time.Location, error) {
	if z, ok := zones.Load(name); ok {
		return z.(*time.Location), nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	zones.Store(name, z)
	return z, nil
}

func bucket(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	nanos, ok := args[0].(int64)
	if !ok {
		return nil, notA("time", args[0])
	}
	unit, _ := args[1].(string)
	name, _ := args[2].(string)
	z, err := zone(name)
	if err != nil {
		return nil, err
	}
	at := time.Unix(0, nanos).In(z)
	if unit == "week" {
		year, week := at.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week), nil
	}
	format := formats[unit]
	if format == "" {
		return nil, fmt.Errorf("%q is no unit of time: there are hour, day, week, month and year", unit)
	}
	return at.Format(format), nil
}

// notA answers null for null, and refuses all else.
func notA(what string, v driver.Value) error {
	if v == nil {
		return nil
	}
	return fmt.Errorf("%v is no %s", v, what)
}

func scaled(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	minor, ok := args[0].(int64)
	if !ok {
		return nil, notA("whole number of minor units", args[0])
	}
	currency, _ := args[1].(string)
	return string(analytics.AppendScaled(nil, minor, currency)), nil
}

// lastUpTo is the greatest of some numbers, with commas between them, that is not above another.
func lastUpTo(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	all, some := args[0].(string)
	bound, bounded := args[1].(int64)
	if args[0] == nil || args[1] == nil {
		return nil, nil
	}
	if !some || !bounded {
		return nil, fmt.Errorf("%v is no list of whole numbers, or %v is none", args[0], args[1])
	}
	var last driver.Value
	greatest := int64(math.MinInt64)
	for text := range strings.SplitSeq(all, ",") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no whole number", text)
		}
		if n <= bound && n >= greatest {
			greatest, last = n, n
		}
	}
	return last, nil
}

// quantile keeps all values.
type quantile struct {
	values []driver.Value
	share  float64
}

func (q *quantile) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	switch share := args[1].(type) {
	case float64:
		q.share = share
	case int64:
		q.share = float64(share)
	}
	switch args[0].(type) {
	case int64, float64:
		q.values = append(q.values, args[0])
		return nil
	}
	return notA("number", args[0])
}

func (q *quantile) WindowValue(*sqlite.FunctionContext) (driver.Value, error) {
	if len(q.values) == 0 {
		return nil, nil
	}
	slices.SortFunc(q.values, compare)
	return q.values[max(0, min(int(q.share*float64(len(q.values))), len(q.values)-1))], nil
}

func (q *quantile) WindowInverse(*sqlite.FunctionContext, []driver.Value) error { return errWindow }
func (q *quantile) Final(*sqlite.FunctionContext)                               {}

// argmax keeps the row of the greatest two values.
type argmax struct {
	row   [3]driver.Value
	begun bool
}

func (m *argmax) Step(_ *sqlite.FunctionContext, args []driver.Value) error {
	if !m.begun || cmp.Or(compare(args[1], m.row[1]), compare(args[2], m.row[2])) > 0 {
		m.begun = true
		copy(m.row[:], args)
	}
	return nil
}

func (m *argmax) WindowValue(*sqlite.FunctionContext) (driver.Value, error) { return m.row[0], nil }
func (m *argmax) WindowInverse(*sqlite.FunctionContext, []driver.Value) error {
	return errWindow
}
func (m *argmax) Final(*sqlite.FunctionContext) {}

var errWindow = fmt.Errorf("no function of a window: use it with GROUP BY")

// compare has the sequence of SQLite: null, numbers, texts.
func compare(a, b driver.Value) int {
	if rank(a) != rank(b) {
		return cmp.Compare(rank(a), rank(b))
	}
	switch x := a.(type) {
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(float64(x), b.(float64))
	case float64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, float64(y))
		}
		return cmp.Compare(x, b.(float64))
	case string:
		y, _ := b.(string)
		return strings.Compare(x, y)
	}
	return 0
}

func rank(v driver.Value) int {
	switch v.(type) {
	case nil:
		return 0
	case int64, float64:
		return 1
	case string:
		return 2
	}
	return 3
}
