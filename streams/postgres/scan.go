package postgres

import (
	"context"

	"github.com/weirstream/weir/streams"
)

// A scan reads pages and calls f between them, so that a slow f holds no
// connection.
const (
	pageRows  = 500
	pageBytes = 4 << 20
)

// page cuts a query's rows at the first that ends above pageBytes: what is left
// of an answer would have to be received all the same. The last column is a page's
// bytes up to its row.
func page(columns, body, from, order string) string {
	return "SELECT * FROM (SELECT " + columns + ", sum(octet_length(" + body + ")) OVER (ORDER BY " + order + " ROWS UNBOUNDED PRECEDING) - octet_length(" + body + ") AS before" +
		" FROM " + from + " ORDER BY " + order + " LIMIT $3) AS page WHERE before <= $4"
}

const eventColumns = "seq,decider,stream,version,type,type_version,topic,partition,key,record"

func event(r row) streams.StoredEvent {
	return streams.StoredEvent{Seq: num(r[0]), Stream: stream(r[1], r[2]), Version: num(r[3]), Type: text(r[4]), TypeVer: int(num(r[5])),
		Topic: text(r[6]), Partition: int32(num(r[7])), Key: text(r[8]), Record: blob(r[9])}
}

func sequence(e *streams.StoredEvent) int64 { return e.Seq }

// scan calls f for the rows above a place, at most limit. sql takes the lane, the
// place, the rows and bytes of a page, then args; place says where a row is.
func scan[T any](ctx context.Context, s *Store, what, sql string, lane int32, after int64, limit int, args []any,
	decode func(row) T, place func(*T) int64, f func(T) error) error {
	for limit > 0 {
		var rows []T
		all := append([]any{lane, after, min(limit, pageRows), int64(pageBytes)}, args...)
		err := s.query(ctx, what, sql, all, func(r row) error {
			rows = append(rows, decode(r))
			return nil
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			if err := f(rows[i]); err != nil {
				return err
			}
		}
		after, limit = place(&rows[len(rows)-1]), limit-len(rows)
	}
	return nil
}

const unlimited = int(^uint(0) >> 1)

var selectOutbox = page(eventColumns, "record", "weir.events WHERE lane=$1 AND seq>$2", "seq")

// Outbox calls f for a lane's events above a sequence, in order, at most limit.
func (s *Store) Outbox(ctx context.Context, lane int32, after int64, limit int, f func(streams.StoredEvent) error) error {
	return scan(ctx, s, "read the outbox", selectOutbox, lane, after, limit, nil, event, sequence, f)
}

// Events calls f for a stream's events above a version, in order. It follows the
// links from the snapshot's head, and so reads only that stream's rows. A stream
// that was written without its snapshots has no whole chain: then it reads the
// whole lane.
func (s *Store) Events(ctx context.Context, lane int32, id streams.StreamID, after int64, f func(streams.StoredEvent) error) error {
	seqs, whole, err := s.chain(ctx, lane, id, max(after, 0))
	if err == nil && !whole {
		seqs, err = s.search(ctx, lane, id, max(after, 0))
	}
	for err == nil && len(seqs) > 0 {
		n := min(len(seqs), pageRows)
		err = scan(ctx, s, "read events", selectListed, lane, seqs[0]-1, n, []any{seqs[:n]}, event, sequence, f)
		seqs = seqs[n:]
	}
	return err
}

var selectListed = page(eventColumns, "record", "weir.events WHERE lane=$1 AND seq>$2 AND seq=ANY($5)", "seq")

const followLinks = `WITH RECURSIVE chain AS (
		SELECT s.version, s.head AS seq FROM weir.snapshots s WHERE s.lane=$1 AND s.decider=$2 AND s.key=$3 AND s.version>$4
		UNION ALL
		SELECT e.version-1, e.link FROM chain c
			CROSS JOIN LATERAL (SELECT * FROM weir.events WHERE lane=$1 AND seq=c.seq AND version=c.version OFFSET 0) AS e WHERE c.version>$4)
	SELECT s.version, c.version, c.seq FROM weir.snapshots s LEFT JOIN chain c ON true
		WHERE s.lane=$1 AND s.decider=$2 AND s.key=$3 ORDER BY c.version`

// chain lists the sequences of a stream's events above a version, oldest first. It
// is whole if the versions go down one by one from the snapshot's: its last step
// leads to the version itself.
func (s *Store) chain(ctx context.Context, lane int32, id streams.StreamID, after int64) (seqs []int64, whole bool, err error) {
	err = s.query(ctx, "follow a stream", followLinks, []any{lane, id.Decider, []byte(id.Key), after}, func(r row) error {
		switch version := num(r[1]); {
		case num(r[0]) <= after || version == after:
			whole = true
		case version > after:
			seqs = append(seqs, num(r[2]))
		}
		return nil
	})
	return seqs, whole, err
}

// search finds a stream's events by looking at all of its lane's.
func (s *Store) search(ctx context.Context, lane int32, id streams.StreamID, after int64) (seqs []int64, err error) {
	err = s.query(ctx, "search a lane", "SELECT seq FROM weir.events WHERE lane=$1 AND version>$2 AND decider=$3 AND stream=$4 ORDER BY version",
		[]any{lane, after, id.Decider, []byte(id.Key)}, func(r row) error {
			seqs = append(seqs, num(r[0]))
			return nil
		})
	return seqs, err
}

var selectInputs = page("rev,at,entries", "entries", "weir.inputs WHERE lane=$1 AND rev>$2", "rev")

// Inputs calls f for a lane's rows of inputs above a rev, in order.
func (s *Store) Inputs(ctx context.Context, lane int32, after int64, f func(streams.InputRow) error) error {
	return scan(ctx, s, "read inputs", selectInputs, lane, after, unlimited, nil,
		func(r row) streams.InputRow {
			return streams.InputRow{Rev: num(r[0]), At: instant(r[1]), Entries: blob(r[2])}
		},
		func(r *streams.InputRow) int64 { return r.Rev }, f)
}
