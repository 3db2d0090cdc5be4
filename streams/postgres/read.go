package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
)

// row is one row's columns in their binary formats. They are the connection's
// memory, which the next row takes.
type row [][]byte

// query calls f for every row, on a connection of its own. It is tried again
// while no row was seen.
func (s *Store) query(ctx context.Context, what, sql string, args []any, f func(row) error) error {
	seen := false
	again := func(err error) bool { return !seen && passes(err) }
	return s.explain(ctx, what, s.do(ctx, again, func(ctx context.Context, c *pgxpool.Conn) error {
		return s.rows(ctx, c, sql, args, func(r row) error {
			seen = true
			return f(r)
		})
	}))
}

// rows calls f for every row.
func (s *Store) rows(ctx context.Context, c *pgxpool.Conn, sql string, args []any, f func(row) error) error {
	rows, err := c.Query(ctx, s.sql(sql), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exec runs a statement that does no harm twice.
func (s *Store) exec(ctx context.Context, what, sql string, args ...any) error {
	return s.query(ctx, what, sql, args, func(row) error { return nil })
}

// Columns come back as what was stored in them; a NULL is the zero value.

func num(b []byte) int64 {
	switch len(b) {
	case 4:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case 8:
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func text(b []byte) string { return string(b) }

func blob(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

func instant(b []byte) time.Time {
	if n := num(b); n != 0 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

func origin(r row) streams.Origin {
	return streams.Origin{Correlation: text(r[0]), Causation: text(r[1]), Traceparent: text(r[2])}
}

func stream(decider, key []byte) streams.StreamID {
	return streams.StreamID{Decider: text(decider), Key: text(key)}
}

// Load reads the snapshots of streams; those never written are left out.
func (s *Store) Load(ctx context.Context, lane int32, ids []streams.StreamID) ([]streams.Snapshot, error) {
	if len(ids) == 0 {
		return nil, ctx.Err()
	}
	deciders, keys := make([]string, len(ids)), make([][]byte, len(ids))
	for i, id := range ids {
		deciders[i], keys[i] = id.Decider, []byte(id.Key)
	}
	out := make([]streams.Snapshot, 0, len(ids))
	err := s.query(ctx, "load", `SELECT w.i,s.version,s.state_version,s.state
		FROM unnest($2::text[],$3::bytea[]) WITH ORDINALITY AS w(decider,key,i)
		CROSS JOIN LATERAL (SELECT * FROM weir.snapshots WHERE lane=$1 AND decider=w.decider AND key=w.key OFFSET 0) AS s`, []any{lane, deciders, keys}, func(r row) error {
		out = append(out, streams.Snapshot{Stream: ids[num(r[0])-1], Version: num(r[1]), StateVersion: int(num(r[2])), State: blob(r[3])})
		return nil
	})
	return out, err
}

// Replies reads the stored replies of these commands.
func (s *Store) Replies(ctx context.Context, lane int32, ids []string) (out []streams.Reply, err error) {
	if len(ids) == 0 {
		return nil, ctx.Err()
	}
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = []byte(id)
	}
	err = s.query(ctx, "read replies", "SELECT id,digest,status,body,token,at FROM weir.replies WHERE lane=$1 AND id=ANY($2)", []any{lane, keys}, func(r row) error {
		out = append(out, streams.Reply{ID: text(r[0]), Digest: text(r[1]), Status: streams.ReplyStatus(text(r[2])), Body: blob(r[3]), Token: text(r[4]), At: instant(r[5])})
		return nil
	})
	return out, err
}

// Externals tells which of these events were taken before.
func (s *Store) Externals(ctx context.Context, lane int32, ids []streams.ExternalID) (out []streams.ExternalID, err error) {
	if len(ids) == 0 {
		return nil, ctx.Err()
	}
	sources, keys := make([][]byte, len(ids)), make([][]byte, len(ids))
	for i, id := range ids {
		sources[i], keys[i] = []byte(id.Source), []byte(id.ID)
	}
	err = s.query(ctx, "read external ids", `SELECT x.source,x.id,x.at,x.digest FROM unnest($2::bytea[],$3::bytea[]) AS w(source,id)
		CROSS JOIN LATERAL (SELECT * FROM weir.externals WHERE lane=$1 AND source=w.source AND id=w.id OFFSET 0) AS x`, []any{lane, sources, keys}, func(r row) error {
		out = append(out, streams.ExternalID{Source: text(r[0]), ID: text(r[1]), At: instant(r[2]), Digest: text(r[3])})
		return nil
	})
	return out, err
}

// Timers reads the timers due at or before due, earliest first.
func (s *Store) Timers(ctx context.Context, lane int32, due time.Time, limit int) (out []streams.Timer, err error) {
	err = s.query(ctx, "read timers", `SELECT decider,key,name,id,due,body,correlation,causation,traceparent FROM weir.timers
		WHERE lane+0=$1 AND due<=$2 ORDER BY due LIMIT $3`, []any{lane, nanos(due), max(limit, 0)}, func(r row) error {
		out = append(out, streams.Timer{Stream: stream(r[0], r[1]), Name: text(r[2]), ID: text(r[3]), Due: instant(r[4]), Body: blob(r[5]), Origin: origin(r[6:])})
		return nil
	})
	return out, err
}

// NextTimer is when the next timer falls due; ok is false if none is set.
func (s *Store) NextTimer(ctx context.Context, lane int32) (due time.Time, ok bool, err error) {
	err = s.query(ctx, "read the next timer", "SELECT due FROM weir.timers WHERE lane+0=$1 ORDER BY due LIMIT 1", []any{lane}, func(r row) error {
		due, ok = instant(r[0]), true
		return nil
	})
	return due, ok, err
}

// Effects reads the pending effects above a sequence, in order.
func (s *Store) Effects(ctx context.Context, lane int32, after int64, limit int) (out []streams.PendingEffect, err error) {
	err = s.query(ctx, "read effects", `SELECT seq,decider,key,id,effect,idempotency,body,correlation,causation,traceparent FROM weir.effects
		WHERE lane=$1 AND seq>$2 ORDER BY seq LIMIT $3`, []any{lane, after, max(limit, 0)}, func(r row) error {
		out = append(out, streams.PendingEffect{Seq: num(r[0]), Stream: stream(r[1], r[2]), ID: text(r[3]), Effect: text(r[4]), Key: text(r[5]), Body: blob(r[6]), Origin: origin(r[7:])})
		return nil
	})
	return out, err
}

// Parked reads the parked inputs of a stream, or of all for a zero stream, above a
// sequence, in order. It looks at all of the lane's, which the lane bounds.
func (s *Store) Parked(ctx context.Context, lane int32, of streams.StreamID, after int64, limit int) (out []streams.ParkedInput, err error) {
	err = s.query(ctx, "read parked inputs", `SELECT seq,decider,key,kind,id,name,type_version,body,correlation,causation,traceparent,origin,at,reason,stack,source FROM weir.parked
		WHERE lane=$1 AND seq>$2 AND ($3 OR decider=$4 AND key=$5) ORDER BY seq LIMIT $6`,
		[]any{lane, after, of == streams.StreamID{}, of.Decider, []byte(of.Key), max(limit, 0)}, func(r row) error {
			out = append(out, streams.ParkedInput{Seq: num(r[0]), Stream: stream(r[1], r[2]), Kind: streams.InputKind(text(r[3])), ID: text(r[4]), Name: text(r[5]),
				TypeVer: int(num(r[6])), Body: blob(r[7]), Origin: origin(r[8:]), From: text(r[11]), At: instant(r[12]), Reason: text(r[13]), Stack: text(r[14]), Source: text(r[15])})
			return nil
		})
	return out, err
}
