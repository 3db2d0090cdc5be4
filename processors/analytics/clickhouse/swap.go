package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// Tables that are written anew are in databases of their own, NAME_shadow, and change
// places with those of NAME one by one. So that no row ends up among others, tables are of
// a generation, which is in their comments, and numbers of blocks are of one: those of the
// generation g are above g·2⁴⁰, and a table refuses lower ones. A writer that was frozen with
// a block on its way is refused by the tables that were swapped meanwhile; nobody claims
// while tables are of two generations.
//
// What files gave has numbers below 0, in every generation.

const generationBits = 40

const generationMark = "generation "

// ofGeneration adds to a table what keeps rows of others out.
func (l Layout) ofGeneration(columns string) (all, comment string) {
	if l.generation == 0 {
		return columns, ""
	}
	for _, c := range []string{"`number` Int64", quote(analytics.BlockColumn) + " Int64"} {
		if strings.HasPrefix(columns, c) {
			name, _, _ := strings.Cut(c, " ")
			columns += fmt.Sprintf(", CONSTRAINT generation CHECK (%[1]s < 0 OR %[1]s > %[2]d)", name, l.generation<<generationBits)
		}
	}
	return columns, fmt.Sprintf(" COMMENT '%s%d'", generationMark, l.generation)
}

// generations are those of a database's tables, by name. Views have none.
func (s *Store) generations(ctx context.Context, database string) (map[string]int64, error) {
	out := map[string]int64{}
	err := eachRow(ctx, s.conn, "SELECT name, comment FROM system.tables WHERE database = ? AND engine != 'MaterializedView'", func(row driver.Rows) error {
		var name, comment string
		err := row.Scan(&name, &comment)
		out[name], _ = strconv.ParseInt(strings.TrimPrefix(comment, generationMark), 10, 64) // of others' comments 0
		return err
	}, database)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// kept are the tables that follow from the schema, the ledger first.
func (s *Store) kept() []string {
	out := []string{analytics.BlocksTable}
	for _, st := range Statements(s.schema, s.layout) {
		if st.Table != hoursView && st.Table != analytics.BlocksTable {
			out = append(out, st.Table)
		}
	}
	return out
}

// unswapped fails while tables are of two generations, and notes which one they are.
func (s *Store) unswapped(ctx context.Context) error {
	of, err := s.generations(ctx, s.database)
	if err != nil {
		return err
	}
	generation := of[s.layout.local(analytics.BlocksTable)]
	for _, t := range s.kept() {
		if g, ok := of[s.layout.local(t)]; ok && g != generation {
			return fmt.Errorf("%w: a swap of the tables of analytics is half done: weir backfill finishes it", projection.ErrUnavailable)
		}
	}
	s.base.Store(generation << generationBits)
	return nil
}

func (s *Store) name(what string) string { return s.database + "_" + what }

// staged is what a file is staged under.
func staged(name string) string { return "file_" + name }

// Beside looks which databases there are.
func (s *Store) Beside(ctx context.Context) (out analytics.Beside, err error) {
	err = eachRow(ctx, s.conn, "SELECT name FROM system.databases WHERE startsWith(name, ?) ORDER BY name", func(row driver.Rows) error {
		var name string
		if err := row.Scan(&name); err != nil {
			return err
		}
		switch of := strings.TrimPrefix(name, s.database+"_"); {
		case of == analytics.ShadowTables:
			out.Shadow = true
		case of == analytics.OldTables:
			out.Old = true
		case strings.HasPrefix(of, staged("")):
			out.Staged = append(out.Staged, strings.TrimPrefix(of, staged("")))
		}
		return nil
	}, s.database+"_")
	if err != nil || !out.Shadow {
		return out, err
	}
	live, err := s.generations(ctx, s.database)
	if err != nil {
		return out, err
	}
	shadow, err := s.generations(ctx, s.name(analytics.ShadowTables))
	g, made := shadow[analytics.BlocksTable]
	out.Half = made && g < live[analytics.BlocksTable]
	out.Shadow = !out.Half
	return out, err
}

// Shadow opens NAME_shadow.
func (s *Store) Shadow(ctx context.Context) (analytics.Store, error) {
	if s.layout.Cluster != "" {
		return nil, errors.New("tables of a cluster are not written anew: do it by hand, with weir backfill on a database of its own")
	}
	live, err := s.generations(ctx, s.database)
	if err != nil {
		return nil, err
	}
	l := s.layout
	l.generation = live[analytics.BlocksTable] + 1
	return s.made(ctx, s.name(analytics.ShadowTables), l)
}

// Staging opens a database for a file.
func (s *Store) Staging(ctx context.Context, name string) (analytics.Store, error) {
	l := s.layout
	l.KeepDays = 0
	return s.made(ctx, s.name(staged(name)), l)
}

// made opens a database, with all that it needs.
func (s *Store) made(ctx context.Context, database string, l Layout) (*Store, error) {
	o := *s.options
	o.Auth.Database = database
	out, err := connect(&o, s.schema, l)
	if err != nil {
		return nil, err
	}
	steps, err := out.Plan(ctx)
	if err == nil {
		err = out.Apply(ctx, steps)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// Swap exchanges the ledgers, and what belongs to them. From the first exchange until the
// last nobody claims, and no row of before finds a place among those of afterwards.
func (s *Store) Swap(ctx context.Context, newest int64) error {
	shadow := s.name(analytics.ShadowTables)
	live, err := s.generations(ctx, s.database)
	if err != nil {
		return err
	}
	beside, err := s.generations(ctx, shadow)
	if err != nil {
		return err
	}
	if _, made := beside[analytics.BlocksTable]; !made {
		return fmt.Errorf("there are no tables in %s to swap for", shadow)
	}
	to := max(live[analytics.BlocksTable], beside[analytics.BlocksTable])
	for _, t := range s.kept() {
		if g, ok := live[t]; ok && g == to {
			continue
		}
		if _, ok := beside[t]; !ok {
			return fmt.Errorf("there is no table %s in %s, it was removed: put it back from a copy, or begin again with weir backfill --drop-shadow", t, shadow)
		}
		if err := s.exchange(ctx, t, live); err != nil {
			return err
		}
		if t == analytics.BlocksTable {
			if err := s.still(ctx, shadow, newest); err != nil {
				return errors.Join(err, s.exchange(ctx, t, live))
			}
		}
	}
	for _, sql := range []string{"DROP VIEW IF EXISTS " + quote(shadow) + "." + quote(hoursView) + " SYNC", "DROP DATABASE IF EXISTS " + quote(s.name(analytics.OldTables)) + " SYNC",
		"RENAME DATABASE " + quote(shadow) + " TO " + quote(s.name(analytics.OldTables))} {
		if err := s.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, known(err))
		}
	}
	return nil
}

// exchange has a table change places with that of the shadow, or takes its place.
func (s *Store) exchange(ctx context.Context, table string, live map[string]int64) error {
	here, there := quote(s.database)+"."+quote(table), quote(s.name(analytics.ShadowTables))+"."+quote(table)
	sql := "EXCHANGE TABLES " + here + " AND " + there
	if _, ok := live[table]; !ok {
		sql = "RENAME TABLE " + there + " TO " + here
	}
	if err := s.conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, known(err))
	}
	return nil
}

// still fails if the ledger that was exchanged goes on after a block.
func (s *Store) still(ctx context.Context, database string, newest int64) error {
	last, err := s.newest(ctx, database)
	if err != nil {
		return err
	}
	if last = max(last, 0); last != newest {
		return fmt.Errorf("block %d was written after %d: %w", last, newest, projection.ErrFenced)
	}
	return nil
}

// Drop removes a database.
func (s *Store) Drop(ctx context.Context, what string) error {
	name := s.name(what)
	if what != analytics.ShadowTables && what != analytics.OldTables {
		name = s.name(staged(what))
	}
	return known(s.conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" SYNC"))
}

// Carry copies a block of another database: first what it is made of, then the rows of each
// table, which are one insert, and so are there as a whole or not at all.
func (s *Store) Carry(ctx context.Context, from analytics.Store, block int64, w analytics.Written) error {
	if w.Number >= 0 {
		return fmt.Errorf("block %d cannot be carried: numbers from 0 on are those of the log", w.Number)
	}
	if err := s.noteCarried(ctx, w); err != nil || from == nil {
		return err
	}
	source, ok := from.(*Store)
	if x, wrapped := from.(interface{ Unwrap() analytics.Store }); wrapped {
		source, ok = x.Unwrap().(*Store)
	}
	if !ok {
		return fmt.Errorf("a block cannot be carried from a %T into ClickHouse", from)
	}
	for _, t := range s.schema.Tables {
		want := w.Tables[t.Name].Rows
		have, err := s.count(ctx, t.Name, w.Number)
		if err != nil {
			return err
		}
		if have == 0 && want > 0 {
			if err := s.copyRows(ctx, t, source.database, block, w); err != nil {
				return err
			}
			if have, err = s.count(ctx, t.Name, w.Number); err != nil {
				return err
			}
		}
		if have != want {
			return fmt.Errorf("block %d has %d rows of %s, and %d were carried: take it out with weir backfill --remove, and carry it again", w.Number, have, t.Name, want)
		}
	}
	return nil
}

// noteCarried makes a block that of its writer.
func (s *Store) noteCarried(ctx context.Context, w analytics.Written) error {
	writers := func() (out []string, err error) {
		blocks, err := s.read(ctx, fmt.Sprintf("`number` = %d", w.Number), "")
		for _, b := range blocks {
			out = append(out, b.Writer)
		}
		return out, err
	}
	have, err := writers()
	if err == nil && len(have) == 0 {
		if err := s.insertEntry(ctx, token(w.Number, analytics.BlocksTable)+", "+w.Writer, entry{Written: w}); err != nil {
			return known(err)
		}
		have, err = writers()
	}
	if err != nil {
		return err
	}
	if len(have) != 1 || have[0] != w.Writer {
		return fmt.Errorf("block %d is that of %q, and not of %s (if nobody loads the file now, take it out with weir backfill --remove): %w", w.Number, have, w.Writer, projection.ErrFenced)
	}
	return nil
}

func (s *Store) count(ctx context.Context, table string, block int64) (int64, error) {
	var n uint64
	err := s.conn.QueryRow(ctx, "SELECT count() FROM "+quote(table)+" WHERE "+quote(analytics.BlockColumn)+" = ?", block).Scan(&n)
	return int64(n), known(err)
}

// copyRows is one insert of one part.
func (s *Store) copyRows(ctx context.Context, t *analytics.Table, database string, block int64, w analytics.Written) error {
	var into, values []string
	for _, c := range t.Columns {
		into = append(into, quote(c.Name))
		if c.Name == analytics.BlockColumn {
			values = append(values, fmt.Sprint("toInt64(", w.Number, ")"))
		} else {
			values = append(values, quote(c.Name))
		}
	}
	ctx = s.once(ctx, token(w.Number, t.Name)+", "+w.Writer, clickhouse.Settings{"max_threads": 1, "max_insert_threads": 1, "min_insert_block_size_rows": 1 << 30,
		"min_insert_block_size_bytes": 0, "max_block_size": 1 << 20})
	return known(s.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s.%s WHERE %s = %d", quote(t.Name), strings.Join(into, ", "), strings.Join(values, ", "),
		quote(database), quote(t.Name), quote(analytics.BlockColumn), block)))
}

// Remove takes carried blocks out again, what says so last.
func (s *Store) Remove(ctx context.Context, topic string, from, to int64) error {
	if to >= 0 {
		return fmt.Errorf("blocks up to %d cannot be removed: numbers from 0 on are those of the log", to)
	}
	remove := func(table, where string, args ...any) error {
		return known(s.conn.Exec(ctx, "DELETE FROM "+quote(s.layout.local(table))+s.layout.onCluster()+" WHERE "+where, args...))
	}
	for _, t := range s.schema.Tables {
		if err := remove(t.Name, quote(analytics.BlockColumn)+" BETWEEN ? AND ?", from, to); err != nil {
			return err
		}
	}
	if err := remove(analytics.HoursTable, "`topic` = ?", topic); err != nil {
		return err
	}
	return remove(analytics.BlocksTable, "`number` BETWEEN ? AND ?", from, to)
}
