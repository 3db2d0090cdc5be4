package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
)

// Step is one statement of a migration, and why.
type Step struct {
	SQL string `json:"sql"`
	Why string `json:"why"`
}

// Plan is what has to be done so that the database has what the schema needs: nothing is
// ever taken away or changed, and a column of another type is an error with its cure.
func (s *Store) Plan(ctx context.Context) ([]Step, error) {
	have, err := s.have(ctx)
	if err != nil {
		return nil, err
	}
	return s.plan(ctx, have)
}

func (s *Store) plan(ctx context.Context, have map[string]map[string]string) (out []Step, err error) {
	if have == nil {
		out = append(out, Step{"CREATE DATABASE IF NOT EXISTS " + quote(s.database) + s.layout.onCluster(), "there is no database " + s.database})
	}
	layout := s.layout
	if have != nil {
		of, err := s.generations(ctx, s.database)
		if err != nil {
			return nil, err
		}
		layout.generation = max(layout.generation, of[layout.local(analytics.BlocksTable)])
	}
	var errs []error
	for _, st := range Statements(s.schema, layout) {
		if have[st.Table] == nil {
			out = append(out, Step{st.SQL, "there is no " + st.Table})
			continue
		}
		t, ok := s.schema.Table(st.Table)
		if !ok {
			continue
		}
		for _, c := range t.Columns {
			switch is, ok := have[t.Name][c.Name]; {
			case !ok:
				out = append(out, Step{fmt.Sprintf("ALTER TABLE %s%s ADD COLUMN IF NOT EXISTS %s %s%s", quote(s.layout.local(t.Name)), s.layout.onCluster(), quote(c.Name), typeOf(c), codec(c)),
					fmt.Sprintf("%s has no column %s; rows that are there are empty in it until weir backfill writes them again", t.Name, c.Name)})
			case is != typeOf(c):
				errs = append(errs, fmt.Errorf("column %s of %s is %s, and is declared as %s: give the field another name, or write the tables anew: weir backfill --from log", c.Name, t.Name, is, typeOf(c)))
			}
		}
	}
	return out, errors.Join(errs...)
}

// Statements are all that the schema needs.
func (s *Store) Statements() []Statement { return Statements(s.schema, s.layout) }

// Apply does what Plan says.
func (s *Store) Apply(ctx context.Context, steps []Step) error {
	for _, st := range steps {
		conn := s.conn
		if strings.HasPrefix(st.SQL, "CREATE DATABASE") { // which one cannot be in before
			o := *s.options
			o.Auth.Database = "default"
			c, err := clickhouse.Open(&o)
			if err != nil {
				return known(err)
			}
			defer c.Close()
			conn = c
		}
		if err := conn.Exec(ctx, st.SQL); err != nil {
			return fmt.Errorf("%s: %w", st.SQL, known(err))
		}
	}
	return nil
}

// have are the types of the columns that there are, by table; nil if there is no database.
func (s *Store) have(ctx context.Context) (map[string]map[string]string, error) {
	o := *s.options
	o.Auth.Database = "default"
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return nil, known(err)
	}
	defer conn.Close()
	var n uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = ?", s.database).Scan(&n); err != nil || n == 0 {
		return nil, known(err)
	}
	out := map[string]map[string]string{}
	err = eachRow(ctx, conn, "SELECT table, name, type FROM system.columns WHERE database = ?", func(row driver.Rows) error {
		var table, name, typ string
		err := row.Scan(&table, &name, &typ)
		if out[table] == nil {
			out[table] = map[string]string{}
		}
		out[table][name] = typ
		return err
	}, s.database)
	return out, err
}

// ErrUnsafe says that the tables would not stay exactly once.
var ErrUnsafe = errors.New("the tables of analytics would not hold each event once")

var (
	singleWindow     = regexp.MustCompile(`non_replicated_deduplication_window = (\d+)`)
	replicatedWindow = regexp.MustCompile(`replicated_deduplication_window = (\d+)`)
	target           = regexp.MustCompile(`^CREATE MATERIALIZED VIEW \S+ TO (\S+) `)
)

// guard refuses tables that would take a block twice, and materialized views, whoever made
// them, that would count one twice.
func (s *Store) guard(ctx context.Context) error {
	have, err := s.have(ctx)
	if err != nil {
		return err
	}
	if have != nil { // else there is no database to ask
		if err := s.unswapped(ctx); err != nil {
			return err
		}
	}
	steps, err := s.plan(ctx, have)
	if err != nil {
		return err
	}
	if have[s.layout.local(analytics.BlocksTable)] == nil { // nothing of ours is there
		if err := s.Apply(ctx, steps); err != nil {
			return err
		}
		steps = nil
	}
	if len(steps) > 0 {
		return fmt.Errorf("ClickHouse lacks what analytics needs (%s): weir analytics plan shows it, weir analytics apply does it", steps[0].Why)
	}
	engines, views := map[string]string{}, map[string]string{}
	err = eachRow(ctx, s.conn, "SELECT name, engine, engine_full, create_table_query FROM system.tables WHERE database = ?", func(row driver.Rows) error {
		var name, engine, full, create string
		err := row.Scan(&name, &engine, &full, &create)
		engines[name] = full
		if engine == "MaterializedView" {
			views[name] = create
		}
		return err
	}, s.database)
	if err != nil {
		return err
	}
	var errs []error
	for _, st := range Statements(s.schema, s.layout) {
		if st.Table != hoursView {
			errs = append(errs, unsafe(st.Table, engines[s.layout.local(st.Table)]))
		}
	}
	for name, create := range views {
		errs = append(errs, s.inflates(name, create, engines))
	}
	return errors.Join(errs...)
}

// unsafe says what is wrong with a table's engine.
func unsafe(table, engine string) error {
	single := windowOf(singleWindow, engine)
	if strings.HasPrefix(engine, "Replicated") {
		single = windowOf(replicatedWindow, engine)
		if single < 0 {
			single = 1000 // the server's default
		}
	}
	if single >= window {
		return nil
	}
	return fmt.Errorf("%w: table %s forgets what was inserted (it knows %d blocks, %d are needed). The cure: ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %[4]d, or replicated_deduplication_window if it is replicated",
		ErrUnsafe, table, max(single, 0), window, quote(table))
}

func windowOf(r *regexp.Regexp, engine string) int {
	m := r.FindStringSubmatch(engine)
	if m == nil {
		return -1
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// inflates says whether a view of ours would count a block twice when it is sent again: its
// target has to forget nothing either.
func (s *Store) inflates(name, create string, engines map[string]string) error {
	ours := false
	for _, t := range s.schema.Tables {
		ours = ours || strings.Contains(create, " FROM "+s.database+"."+s.layout.local(t.Name)+" ") || strings.Contains(create, " FROM "+s.database+".`"+s.layout.local(t.Name)+"` ") ||
			strings.HasSuffix(create, " FROM "+s.database+"."+s.layout.local(t.Name))
	}
	if !ours {
		return nil
	}
	inner := ".inner." + name
	if m := target.FindStringSubmatch(create); m != nil {
		_, inner, _ = strings.Cut(strings.ReplaceAll(m[1], "`", ""), ".")
	}
	if engine := engines[inner]; engine == "" || unsafe(inner, engine) != nil {
		return fmt.Errorf("%w: materialized view %s would count a block twice that is sent again, as its table %s forgets what was inserted. The cure: ALTER TABLE %s MODIFY SETTING non_replicated_deduplication_window = %d, or drop the view",
			ErrUnsafe, name, inner, quote(inner), window)
	}
	return nil
}
