package sqlite

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/weirstream/weir/streams"
)

// A scan reads pages and calls f between them, so that a slow f holds no read
// open.
const (
	pageRows  = 500
	pageBytes = 4 << 20
)

const eventColumns = "id,kind,version,link,partition,key,stream,record"

func (s *Store) event(r *conn, v []driver.Value) (streams.StoredEvent, error) {
	k, err := s.findKind(r, num(v[1]))
	e := streams.StoredEvent{Seq: sequence(num(v[0])), Version: num(v[2]), Type: k.typ, TypeVer: k.typeVersion,
		Topic: k.topic, Partition: int32(num(v[4])), Key: text(v[5]), Record: blob(v[7])}
	e.Stream = streams.StreamID{Decider: k.decider, Key: e.Key}
	if v[6] != nil {
		e.Stream.Key = text(v[6])
	}
	return e, err
}

// Outbox calls f for a lane's events above a sequence, in order, at most limit.
func (s *Store) Outbox(ctx context.Context, lane int32, after int64, limit int, f func(streams.StoredEvent) error) error {
	for more := true; more && limit > 0; {
		var page []streams.StoredEvent
		var err error
		if page, more, err = s.outboxPage(ctx, lane, after, min(limit, pageRows)); err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := f(page[i]); err != nil {
				return err
			}
		}
		after, limit = page[len(page)-1].Seq, limit-len(page)
	}
	return nil
}

// outboxPage reads a page; there may be more if it was cut.
func (s *Store) outboxPage(ctx context.Context, lane int32, after int64, limit int) (page []streams.StoredEvent, more bool, err error) {
	size := 0
	err = s.read(ctx, "read the outbox", func(r *conn) error {
		return r.query("SELECT "+eventColumns+" FROM events WHERE id>? AND id<? ORDER BY id LIMIT ?",
			[]driver.Value{above(lane, after), rowID(lane+1, 0), int64(limit)},
			func(v []driver.Value) error {
				e, err := s.event(r, v)
				if page = append(page, e); err != nil {
					return err
				}
				if size += len(e.Record); size > pageBytes {
					return errEnough
				}
				return nil
			})
	})
	return page, len(page) == limit || size > pageBytes, err
}

// Events calls f for a stream's events above a version, in order. It follows the
// links from the snapshot's head, and so reads only that stream's rows. A stream
// that was written without its snapshots has no whole chain: then it reads the
// whole lane.
func (s *Store) Events(ctx context.Context, lane int32, id streams.StreamID, after int64, f func(streams.StoredEvent) error) error {
	seqs, whole, err := s.chain(ctx, lane, id, after)
	if err != nil {
		return err
	}
	if !whole {
		if seqs, err = s.search(ctx, lane, id, after); err != nil {
			return err
		}
	}
	for len(seqs) > 0 {
		n := min(len(seqs), pageRows)
		page, err := s.eventPage(ctx, lane, seqs[:n])
		if err != nil {
			return err
		}
		for i := range page {
			if err := f(page[i]); err != nil {
				return err
			}
		}
		seqs = seqs[n:]
	}
	return nil
}

// chain lists the sequences of a stream's events above a version, oldest first.
// It is whole if the versions go down one by one from the snapshot's.
func (s *Store) chain(ctx context.Context, lane int32, id streams.StreamID, after int64) (seqs []int64, whole bool, err error) {
	err = s.read(ctx, "follow a stream", func(r *conn) error {
		version, seq := int64(0), int64(0)
		decider, _, err := s.findDecider(r, id.Decider)
		if err != nil {
			return err
		}
		err = r.query("SELECT version,head FROM snapshots WHERE lane=? AND decider=? AND key=?", []driver.Value{int64(lane), decider, id.Key},
			func(v []driver.Value) error {
				version, seq, whole = num(v[0]), num(v[1]), true
				return nil
			})
		for err == nil && whole && version > after {
			if err = ctx.Err(); err != nil {
				return err
			}
			whole = false
			err = r.query("SELECT version,link FROM events WHERE id=?", []driver.Value{rowID(lane, seq)}, func(v []driver.Value) error {
				if whole = num(v[0]) == version; whole {
					seqs, version, seq = append(seqs, seq), version-1, num(v[1])
				}
				return nil
			})
		}
		return err
	})
	slices.Reverse(seqs)
	return seqs, whole, err
}

// search finds a stream's events by looking at all of its lane's.
func (s *Store) search(ctx context.Context, lane int32, id streams.StreamID, after int64) (seqs []int64, err error) {
	err = s.read(ctx, "search a lane", func(r *conn) error {
		return r.query("SELECT e.id FROM events e JOIN kinds k ON k.id=e.kind"+
			" WHERE e.id>? AND e.id<? AND e.version>? AND coalesce(e.stream,e.key)=? AND k.decider=? ORDER BY e.version",
			[]driver.Value{rowID(lane, 0), rowID(lane+1, 0), after, id.Key, id.Decider},
			func(v []driver.Value) error {
				seqs = append(seqs, sequence(num(v[0])))
				return nil
			})
	})
	return seqs, err
}

func (s *Store) eventPage(ctx context.Context, lane int32, seqs []int64) (page []streams.StoredEvent, err error) {
	err = s.read(ctx, "read events", func(r *conn) error {
		for _, seq := range seqs {
			err := r.query("SELECT "+eventColumns+" FROM events WHERE id=?", []driver.Value{rowID(lane, seq)}, func(v []driver.Value) error {
				e, err := s.event(r, v)
				page = append(page, e)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

// Inputs calls f for a lane's rows of inputs above a rev, in order.
func (s *Store) Inputs(ctx context.Context, lane int32, after int64, f func(streams.InputRow) error) error {
	for {
		page, err := s.inputPage(ctx, lane, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := f(page[i]); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Rev
	}
}

func (s *Store) inputPage(ctx context.Context, lane int32, after int64) (page []streams.InputRow, err error) {
	size := 0
	err = s.read(ctx, "read inputs", func(r *conn) error {
		return r.query("SELECT id,at,entries FROM inputs WHERE id>? AND id<? ORDER BY id LIMIT ?",
			[]driver.Value{above(lane, after), rowID(lane+1, 0), int64(pageRows)},
			func(v []driver.Value) error {
				page = append(page, streams.InputRow{Rev: sequence(num(v[0])), At: instant(v[1]), Entries: blob(v[2])})
				if size += len(page[len(page)-1].Entries); size > pageBytes {
					return errEnough
				}
				return nil
			})
	})
	return page, err
}
