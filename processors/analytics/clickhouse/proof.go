package clickhouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
)

// Newest is the number of the last block.
func (s *Store) Newest(ctx context.Context) (n int64, err error) {
	err = s.conn.QueryRow(ctx, "SELECT max(`number`) FROM "+quote(analytics.BlocksTable)).Scan(&n)
	return max(n, 0), known(err)
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
	rows, err := s.conn.Query(ctx, strings.Join(parts, " UNION ALL "), args...)
	if err != nil {
		return nil, known(err)
	}
	defer rows.Close()
	out := map[int64]map[string]analytics.Sum{}
	for rows.Next() {
		var table string
		var block int64
		var n, sum uint64
		if err := rows.Scan(&table, &block, &n, &sum); err != nil {
			return nil, known(err)
		}
		if out[block] == nil {
			out[block] = map[string]analytics.Sum{}
		}
		out[block][table] = analytics.Sum{Rows: int64(n), Checksum: sum}
	}
	return out, known(rows.Err())
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
	rows, err := s.conn.Query(ctx, "SELECT "+checksum(have[s.layout.local(table)])+", "+quote(key)+", "+quote(sequence)+" FROM "+quote(table)+" WHERE `_block` = ?", block)
	if err != nil {
		return nil, known(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r analytics.RowSum
		if err := rows.Scan(&r.Checksum, &r.Key, &r.Sequence); err != nil {
			return nil, known(err)
		}
		out = append(out, r)
	}
	return out, known(rows.Err())
}

// Hours are what the rows are by the hour, and what is counted.
func (s *Store) Hours(ctx context.Context, from, to time.Time) (have, counted map[analytics.Hour]analytics.Sum, err error) {
	from = from.Truncate(time.Hour)
	rows, err := s.conn.Query(ctx, "SELECT 0 AS `of`, `topic`, `type`, "+hourOf+" AS `start`, count() AS `n`, sumWithOverflow("+checksum(typesOf(s.schema.Events))+") AS `sum` FROM "+
		quote(analytics.EventsTable)+" WHERE `time` >= fromUnixTimestamp64Nano(?, 'UTC') AND `time` < fromUnixTimestamp64Nano(?, 'UTC') GROUP BY `topic`, `type`, `start`"+
		" UNION ALL SELECT 1, `topic`, `type`, `hour` AS `start`, sum(`rows`), sumWithOverflow(`checksum`) FROM "+
		quote(analytics.HoursTable)+" WHERE `hour` >= ? AND `hour` < ? GROUP BY `topic`, `type`, `start`",
		from.UnixNano(), to.UnixNano(), from.Unix(), to.Unix())
	if err != nil {
		return nil, nil, known(err)
	}
	defer rows.Close()
	have, counted = map[analytics.Hour]analytics.Sum{}, map[analytics.Hour]analytics.Sum{}
	for rows.Next() {
		var of uint8
		var h analytics.Hour
		var n, sum uint64
		if err := rows.Scan(&of, &h.Topic, &h.Type, &h.Start, &n, &sum); err != nil {
			return nil, nil, known(err)
		}
		if of == 0 {
			have[h] = analytics.Sum{Rows: int64(n), Checksum: sum}
		} else {
			counted[h] = analytics.Sum{Rows: int64(n), Checksum: sum}
		}
	}
	return have, counted, known(rows.Err())
}

// Counted is how many rows were counted, by the hour.
func (s *Store) Counted(ctx context.Context) (map[int64]int64, error) {
	rows, err := s.conn.Query(ctx, "SELECT `hour`, toInt64(sum(`rows`)) FROM "+quote(analytics.HoursTable)+" GROUP BY `hour`")
	if err != nil {
		return nil, known(err)
	}
	defer rows.Close()
	out := map[int64]int64{}
	for rows.Next() {
		var hour, n int64
		if err := rows.Scan(&hour, &n); err != nil {
			return nil, known(err)
		}
		out[hour] = n
	}
	return out, known(rows.Err())
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
	rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT `found`, `kind`, `table`, `block`, `topic`, `partition`, `offset`, `last`, `id`, `detail` FROM %s ORDER BY `found` DESC, `table`, `block`, `offset` LIMIT %d", quote(differencesTable), limit))
	if err != nil {
		return nil, known(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d analytics.Difference
		var partition int64
		if err := rows.Scan(&d.Found, &d.Kind, &d.Table, &d.Block, &d.Topic, &partition, &d.Offset, &d.Last, &d.ID, &d.Detail); err != nil {
			return nil, known(err)
		}
		d.Partition = int32(partition)
		out = append(out, d)
	}
	return out, known(rows.Err())
}
