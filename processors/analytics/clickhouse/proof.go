package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
)

// Newest is the number of the last block.
func (s *Store) Newest(ctx context.Context) (n int64, err error) {
	n, err = s.newest(ctx, s.database)
	return max(n, 0), err
}

// newest is the greatest number in the ledger of a database; that of files is below 0.
func (s *Store) newest(ctx context.Context, database string) (n int64, err error) {
	err = s.conn.QueryRow(ctx, "SELECT max(`number`) FROM "+quote(database)+"."+quote(analytics.BlocksTable)).Scan(&n)
	return n, known(err)
}

// Sums counts and sums up the rows as they are.
func (s *Store) Sums(ctx context.Context, from, to int64) (map[int64]map[string]analytics.Sum, error) {
	have, err := s.have(ctx)
	if err != nil {
		return nil, err
	}
	var parts []string
	var args []any
	for _, t := range s.schema.Tables {
		parts = append(parts, fmt.Sprintf("SELECT '%s' AS `table`, `_block`, count() AS `rows`, sumWithOverflow(%s) AS `checksum` FROM %s WHERE `_block` BETWEEN ? AND ? GROUP BY `_block`",
			t.Name, checksum(have[s.layout.local(t.Name)]), quote(t.Name)))
		args = append(args, from, to)
	}
	out := map[int64]map[string]analytics.Sum{}
	err = eachRow(ctx, s.conn, strings.Join(parts, " UNION ALL "), func(row driver.Rows) error {
		var table string
		var block int64
		var n, sum uint64
		err := row.Scan(&table, &block, &n, &sum)
		if out[block] == nil {
			out[block] = map[string]analytics.Sum{}
		}
		out[block][table] = analytics.Sum{Rows: int64(n), Checksum: sum}
		return err
	}, args...)
	return out, err
}

// RowSums are the checksums of a table's rows of one block.
func (s *Store) RowSums(ctx context.Context, table string, block int64) (out []analytics.RowSum, err error) {
	t, ok := s.schema.Table(table)
	if !ok {
		return nil, fmt.Errorf("analytics has no table %s", table)
	}
	have, err := s.have(ctx)
	if err != nil {
		return nil, err
	}
	key, sequence := t.Whose()
	sql := "SELECT " + checksum(have[s.layout.local(table)]) + ", " + quote(key) + ", " + quote(sequence) + " FROM " + quote(table) + " WHERE `_block` = ?"
	err = eachRow(ctx, s.conn, sql, func(row driver.Rows) error {
		var r analytics.RowSum
		err := row.Scan(&r.Checksum, &r.Key, &r.Sequence)
		out = append(out, r)
		return err
	}, block)
	return out, err
}

// Hours are what the rows are by the hour, and what is counted.
func (s *Store) Hours(ctx context.Context, from, to time.Time) (have, counted map[analytics.Hour]analytics.Sum, err error) {
	from = from.Truncate(time.Hour)
	sql := "SELECT 0 AS `of`, `topic`, `type`, " + hourOf + " AS `start`, count() AS `n`, sumWithOverflow(" + checksum(typesOf(s.schema.Events)) + ") AS `sum` FROM " +
		quote(analytics.EventsTable) + " WHERE `time` >= fromUnixTimestamp64Nano(?, 'UTC') AND `time` < fromUnixTimestamp64Nano(?, 'UTC') GROUP BY `topic`, `type`, `start`" +
		" UNION ALL SELECT 1, `topic`, `type`, `hour` AS `start`, sum(`rows`), sumWithOverflow(`checksum`) FROM " +
		quote(analytics.HoursTable) + " WHERE `hour` >= ? AND `hour` < ? GROUP BY `topic`, `type`, `start`"
	have, counted = map[analytics.Hour]analytics.Sum{}, map[analytics.Hour]analytics.Sum{}
	err = eachRow(ctx, s.conn, sql, func(row driver.Rows) error {
		var of uint8
		var h analytics.Hour
		var n, sum uint64
		err := row.Scan(&of, &h.Topic, &h.Type, &h.Start, &n, &sum)
		if of == 0 {
			have[h] = analytics.Sum{Rows: int64(n), Checksum: sum}
		} else {
			counted[h] = analytics.Sum{Rows: int64(n), Checksum: sum}
		}
		return err
	}, from.UnixNano(), to.UnixNano(), from.Unix(), to.Unix())
	return have, counted, err
}

// Counted is how many rows were counted, by the hour.
func (s *Store) Counted(ctx context.Context) (map[int64]int64, error) {
	out := map[int64]int64{}
	err := eachRow(ctx, s.conn, "SELECT `hour`, toInt64(sum(`rows`)) FROM "+quote(analytics.HoursTable)+" GROUP BY `hour`", func(row driver.Rows) error {
		var hour, n int64
		err := row.Scan(&hour, &n)
		out[hour] = n
		return err
	})
	return out, err
}

// Note keeps differences. One that is there already is dropped by its token.
func (s *Store) Note(ctx context.Context, found []analytics.Difference) error {
	for _, d := range found {
		batch, err := s.conn.PrepareBatch(s.once(ctx, d.Key()), "INSERT INTO "+quote(differencesTable)+" (`found`, `kind`, `table`, `block`, `topic`, `partition`, `offset`, `last`, `id`, `detail`)")
		if err != nil {
			return known(err)
		}
		err = batch.Append(d.Found, d.Kind, d.Table, d.Block, d.Topic, int64(d.Partition), d.Offset, d.Last, d.ID, d.Detail)
		if err == nil {
			err = batch.Send()
		}
		_ = batch.Close()
		if err != nil {
			return known(err)
		}
	}
	return nil
}

// Differences lists the latest.
func (s *Store) Differences(ctx context.Context, limit int) (out []analytics.Difference, err error) {
	sql := fmt.Sprintf("SELECT `found`, `kind`, `table`, `block`, `topic`, `partition`, `offset`, `last`, `id`, `detail` FROM %s ORDER BY `found` DESC, `table`, `block`, `offset` LIMIT %d", quote(differencesTable), limit)
	err = eachRow(ctx, s.conn, sql, func(row driver.Rows) error {
		var d analytics.Difference
		var partition int64
		err := row.Scan(&d.Found, &d.Kind, &d.Table, &d.Block, &d.Topic, &partition, &d.Offset, &d.Last, &d.ID, &d.Detail)
		d.Partition = int32(partition)
		out = append(out, d)
		return err
	})
	return out, err
}
