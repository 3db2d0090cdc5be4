package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/weirstream/weir/streams"
)

// read runs f on a connection of its own. No read outlives f, and none is open
// while a caller's function runs: an open one keeps the log from being emptied.
func (s *Store) read(ctx context.Context, what string, f func(*conn) error) error {
	select {
	case <-s.closing:
		return s.explain(what, ErrClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.closing:
		return s.explain(what, ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.readers <- c }()
	if c == nil {
		var err error
		if c, err = dial(s.path, &s.opts, true); err != nil {
			c = nil
			return s.explain(what, err)
		}
	}
	return s.explain(what, f(c))
}

// closeReaders waits for the reads that run. It keeps the slots, so that no read
// begins after it.
func (s *Store) closeReaders() (err error) {
	for range s.opts.readers {
		if c := <-s.readers; c != nil {
			err = errors.Join(err, c.close())
		}
	}
	return err
}

var selectSnapshots = newBulk("WITH w(i,decider,key) AS (VALUES ", "(#,?,?)",
	") SELECT w.i,s.version,s.state_version,s.state FROM w CROSS JOIN snapshots s WHERE s.lane=? AND s.decider=w.decider AND s.key=w.key")

// Load reads the snapshots of streams; those never written are left out.
func (s *Store) Load(ctx context.Context, lane int32, ids []streams.StreamID) (out []streams.Snapshot, err error) {
	err = s.read(ctx, "load", func(r *conn) error {
		known, vals, err := s.deciders(r, ids)
		if err != nil {
			return err
		}
		return selectSnapshots.each(vals, func(query string, first int, vals []driver.Value) error {
			return r.query(query, append(vals[:len(vals):len(vals)], int64(lane)), func(v []driver.Value) error {
				out = append(out, streams.Snapshot{Stream: known[first+int(num(v[0]))],
					Version: num(v[1]), StateVersion: int(num(v[2])), State: blob(v[3])})
				return nil
			})
		})
	})
	return out, err
}

// deciders leaves out the streams whose decider never wrote.
func (s *Store) deciders(r *conn, ids []streams.StreamID) (known []streams.StreamID, vals []driver.Value, err error) {
	never := map[string]bool{}
	for _, id := range ids {
		if never[id.Decider] {
			continue
		}
		decider, ok, err := s.findDecider(r, id.Decider)
		if err != nil {
			return nil, nil, err
		}
		if never[id.Decider] = !ok; ok {
			known, vals = append(known, id), append(vals, decider, id.Key)
		}
	}
	return known, vals, nil
}

// Replies reads the stored replies of these commands.
func (s *Store) Replies(ctx context.Context, lane int32, ids []string) (out []streams.Reply, err error) {
	err = s.read(ctx, "read replies", func(r *conn) error {
		for _, id := range ids {
			err := r.query("SELECT digest,status,body,token,at FROM replies WHERE lane=? AND id=?", []driver.Value{int64(lane), id},
				func(v []driver.Value) error {
					out = append(out, streams.Reply{ID: id, Digest: text(v[0]), Status: streams.ReplyStatus(text(v[1])),
						Body: blob(v[2]), Token: text(v[3]), At: instant(v[4])})
					return nil
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Externals tells which of these events were taken before, and when.
func (s *Store) Externals(ctx context.Context, lane int32, ids []streams.ExternalID) (out []streams.ExternalID, err error) {
	err = s.read(ctx, "read external ids", func(r *conn) error {
		for _, x := range ids {
			err := r.query("SELECT at,digest FROM externals WHERE lane=? AND source=? AND id=?", []driver.Value{int64(lane), x.Source, x.ID},
				func(v []driver.Value) error {
					out = append(out, streams.ExternalID{Source: x.Source, ID: x.ID, At: instant(v[0]), Digest: text(v[1])})
					return nil
				})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// stream reads the columns decider and key.
func (s *Store) stream(r *conn, decider, key driver.Value) (streams.StreamID, error) {
	k, err := s.findKind(r, num(decider))
	return streams.StreamID{Decider: k.decider, Key: text(key)}, err
}

func origin(v []driver.Value) streams.Origin {
	return streams.Origin{Correlation: text(v[0]), Causation: text(v[1]), Traceparent: text(v[2])}
}

// Timers reads the timers due at or before due, earliest first.
func (s *Store) Timers(ctx context.Context, lane int32, due time.Time, limit int) (out []streams.Timer, err error) {
	err = s.read(ctx, "read timers", func(r *conn) error {
		return r.query("SELECT decider,key,name,id,due,body,correlation,causation,traceparent FROM timers"+
			" WHERE lane=? AND due<=? ORDER BY due LIMIT ?", []driver.Value{int64(lane), nanos(due), int64(max(limit, 0))},
			func(v []driver.Value) error {
				id, err := s.stream(r, v[0], v[1])
				out = append(out, streams.Timer{Stream: id, Name: text(v[2]), ID: text(v[3]), Due: instant(v[4]),
					Body: blob(v[5]), Origin: origin(v[6:])})
				return err
			})
	})
	return out, err
}

// NextTimer is when the next timer falls due; ok is false if none is set.
func (s *Store) NextTimer(ctx context.Context, lane int32) (due time.Time, ok bool, err error) {
	err = s.read(ctx, "read the next timer", func(r *conn) error {
		return r.query("SELECT due FROM timers WHERE lane=? ORDER BY due LIMIT 1", []driver.Value{int64(lane)},
			func(v []driver.Value) error {
				due, ok = instant(v[0]), true
				return nil
			})
	})
	return due, ok, err
}

// Effects reads the pending effects above a sequence, in order.
func (s *Store) Effects(ctx context.Context, lane int32, after int64, limit int) (out []streams.PendingEffect, err error) {
	err = s.read(ctx, "read effects", func(r *conn) error {
		return r.query("SELECT id,decider,key,intent,effect,idempotency,body,correlation,causation,traceparent FROM effects"+
			" WHERE id>? AND id<? ORDER BY id LIMIT ?", []driver.Value{above(lane, after), rowID(lane+1, 0), int64(max(limit, 0))},
			func(v []driver.Value) error {
				id, err := s.stream(r, v[1], v[2])
				out = append(out, streams.PendingEffect{Seq: sequence(num(v[0])), Stream: id, ID: text(v[3]), Effect: text(v[4]),
					Key: text(v[5]), Body: blob(v[6]), Origin: origin(v[7:])})
				return err
			})
	})
	return out, err
}

const selectParked = "SELECT id,decider,key,kind,input,name,type_version,body,correlation,causation,traceparent,origin,at,reason,stack,source" +
	" FROM parked WHERE id>? AND id<? AND (? OR decider=? AND key=?) ORDER BY id LIMIT ?"

// Parked reads the parked inputs of a stream, or of all for a zero stream. It
// looks at all of the lane's, which the lane bounds.
func (s *Store) Parked(ctx context.Context, lane int32, of streams.StreamID, after int64, limit int) (out []streams.ParkedInput, err error) {
	err = s.read(ctx, "read parked inputs", func(r *conn) error {
		decider, _, err := s.findDecider(r, of.Decider)
		if err != nil {
			return err
		}
		args := []driver.Value{above(lane, after), rowID(lane+1, 0), of == streams.StreamID{}, decider, of.Key, int64(max(limit, 0))}
		return r.query(selectParked, args, func(v []driver.Value) error {
			id, err := s.stream(r, v[1], v[2])
			out = append(out, streams.ParkedInput{Seq: sequence(num(v[0])), Stream: id, Kind: streams.InputKind(text(v[3])),
				ID: text(v[4]), Name: text(v[5]), TypeVer: int(num(v[6])), Body: blob(v[7]), Origin: origin(v[8:]),
				From: text(v[11]), At: instant(v[12]), Reason: text(v[13]), Stack: text(v[14]), Source: text(v[15])})
			return err
		})
	})
	return out, err
}
