package sqlitefile

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// Claim makes the caller the only writer, and reads the cursors.
func (f *File) Claim(ctx context.Context, partitions int32, read []projection.Cursor) (projection.Claim, error) {
	var c projection.Claim
	tx, err := f.Writer.BeginTx(ctx, nil)
	if err != nil {
		return c, Failed(f.what+" cannot be claimed", err)
	}
	defer tx.Rollback()
	if c.Epoch, err = f.raise(ctx, tx, partitions); err != nil {
		return c, err
	}
	for _, r := range read {
		// A topic of which nothing was read may have been made anew.
		_, err := tx.ExecContext(ctx, `INSERT INTO cursors (topic, partition, topic_id, next) VALUES (?, ?, ?, 0)
			ON CONFLICT DO UPDATE SET topic_id = excluded.topic_id WHERE next = 0`, r.Topic, r.Partition, r.TopicID[:])
		if err != nil {
			return c, Failed(fmt.Sprintf("the cursor of %s/%d cannot be made", r.Topic, r.Partition), err)
		}
	}
	if c.Cursors, err = cursors(ctx, tx); err != nil {
		return c, Failed("the cursors cannot be read", err)
	}
	if err := tx.Commit(); err != nil {
		return c, Failed(f.what+" cannot be claimed", err)
	}
	return c, nil
}

// raise gives the next epoch, and records the partition count the first time.
func (f *File) raise(ctx context.Context, tx *sql.Tx, partitions int32) (epoch int64, err error) {
	var n int32
	if err := tx.QueryRowContext(ctx, `INSERT INTO platform VALUES (1, ?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1
		RETURNING partitions, epoch`, partitions).Scan(&n, &epoch); err != nil {
		return 0, Failed(f.what+" cannot be claimed", err)
	}
	if n != partitions {
		return 0, fmt.Errorf("%s was made for %d partitions, the platform has %d: remove its file to build it again", f.what, n, partitions)
	}
	return epoch, nil
}

func cursors(ctx context.Context, tx *sql.Tx) (out []projection.Cursor, err error) {
	type place struct {
		topic     string
		partition int32
	}
	seen := map[place]map[streams.Lane]int64{}
	err = Each(ctx, tx, `SELECT topic, partition, lane, seq FROM seen`, func(rows *sql.Rows) error {
		var at place
		var lane streams.Lane
		var seq int64
		err := rows.Scan(&at.topic, &at.partition, &lane, &seq)
		if seen[at] == nil {
			seen[at] = map[streams.Lane]int64{}
		}
		seen[at][lane] = seq
		return err
	})
	if err != nil {
		return nil, err
	}
	err = Each(ctx, tx, `SELECT topic, partition, topic_id, next FROM cursors`, func(rows *sql.Rows) error {
		var c projection.Cursor
		var id []byte
		err := rows.Scan(&c.Topic, &c.Partition, &id, &c.Next)
		copy(c.TopicID[:], id)
		c.Seen = seen[place{c.Topic, c.Partition}]
		out = append(out, c)
		return err
	})
	return out, err
}

// Offsets is the offset that comes next, by topic and partition, as stored.
func (f *File) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	out := map[string]map[int32]int64{}
	if err := f.Same(); err != nil { // also where nothing is written
		return nil, err
	}
	err := Each(ctx, f.Reader, "SELECT topic, partition, next FROM cursors", func(rows *sql.Rows) error {
		var topic string
		var partition int32
		var next int64
		err := rows.Scan(&topic, &partition, &next)
		if out[topic] == nil {
			out[topic] = map[int32]int64{}
		}
		out[topic][partition] = next
		return err
	})
	if err != nil {
		return nil, Failed("cursors of "+f.what, err)
	}
	return out, nil
}
