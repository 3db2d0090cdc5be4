package projection

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// place is one partition of one topic.
type place struct {
	topic     string
	partition int32
}

// source is whom repeats are told by here.
type source struct {
	place
	lane streams.Lane
}

// locate finds where to read on in every partition, and proves that the log is
// still the one that was read before.
func (r *run) locate(ctx context.Context) (map[string]map[int32]kgo.Offset, error) {
	cl, err := kgo.NewClient(r.cfg.Client...)
	if err != nil {
		return nil, fmt.Errorf("no Kafka client for the read model: %w", err)
	}
	defer cl.Close()
	topics := make([]string, 0, len(r.kinds))
	for t := range r.kinds {
		topics = append(topics, t)
	}
	if err := r.load(ctx); err != nil { // before the log, whose end only grows
		return nil, err
	}
	log, err := r.readLog(ctx, kadm.NewClient(cl), topics)
	if err != nil {
		return nil, err
	}
	starts := map[string]map[int32]kgo.Offset{}
	for _, t := range topics {
		starts[t] = map[int32]kgo.Offset{}
		if n := len(log.details[t].Partitions); n != int(r.cfg.Partitions) {
			return nil, fmt.Errorf("topic %s has %d partitions, the platform has %d: growth is a drained migration", t, n, r.cfg.Partitions)
		}
		for p := range r.cfg.Partitions {
			at, err := r.start(place{t, p}, log)
			if err != nil {
				return nil, err
			}
			starts[t][p] = kgo.NewOffset().At(at)
		}
	}
	return starts, nil
}

type logState struct {
	details    kadm.TopicDetails
	start, end kadm.ListedOffsets
}

func (r *run) readLog(ctx context.Context, adm *kadm.Client, topics []string) (l logState, err error) {
	if l.details, err = r.waitForTopics(ctx, adm, topics); err != nil {
		return l, err
	}
	if l.start, err = adm.ListStartOffsets(ctx, topics...); err == nil {
		err = l.start.Error()
	}
	if err != nil {
		return l, fmt.Errorf("the start of the log cannot be listed: %w", err)
	}
	if l.end, err = adm.ListEndOffsets(ctx, topics...); err == nil {
		err = l.end.Error()
	}
	if err != nil {
		return l, fmt.Errorf("the end of the log cannot be listed: %w", err)
	}
	return l, nil
}

// waitForTopics lists the topics; services that start at the same time may
// still have to make them.
func (r *run) waitForTopics(ctx context.Context, adm *kadm.Client, topics []string) (kadm.TopicDetails, error) {
	for end := time.Now().Add(r.cfg.TopicWait); ; {
		details, err := adm.ListTopics(ctx, topics...)
		if err != nil {
			return nil, fmt.Errorf("topics cannot be listed: %w", err)
		}
		missing, err := firstMissing(details)
		if err == nil {
			return details, nil
		}
		if !kerr.IsRetriable(err) || !time.Now().Before(end) { // an unknown topic may be made yet
			return nil, fmt.Errorf("topic %s cannot be read, make the topology's topics first: %w", missing, err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func firstMissing(details kadm.TopicDetails) (string, error) {
	for name, d := range details {
		if d.Err != nil {
			return name, d.Err
		}
	}
	return "", nil
}

// start is the offset to read next in a partition: the cursor's, or the
// beginning of a log from which nothing is missing.
func (r *run) start(at place, log logState) (int64, error) {
	id := log.details[at.topic].ID
	first, _ := log.start.Lookup(at.topic, at.partition)
	last, _ := log.end.Lookup(at.topic, at.partition)
	c, ok := r.cursors[at]
	if !ok {
		c = cursor{id: id[:]}
		r.cursors[at] = c
	}
	switch {
	case !bytes.Equal(c.id, id[:]):
		return 0, fmt.Errorf("topic %s was deleted and made again (id %x, was %x): its offsets mean other events; remove the read model's file to build it again", at.topic, id[:], c.id)
	case first.Offset > c.next:
		return 0, fmt.Errorf("%s/%d begins at offset %d, the read model needs %d: the log was truncated; raise the topic's retention and build the read model from a full log", at.topic, at.partition, first.Offset, c.next)
	case last.Offset < c.next:
		return 0, fmt.Errorf("%s/%d ends at offset %d, the read model has read up to %d: the log lost its tail; remove the read model's file to build it again", at.topic, at.partition, last.Offset, c.next)
	}
	return c.next, nil
}

// cursor is how far a partition was read. stored tells a row that exists.
type cursor struct {
	id     []byte
	next   int64
	stored bool
}

// load reads the cursors, and records the partition count at the first time.
func (r *run) load(ctx context.Context) error {
	db := r.store.write
	if _, err := db.ExecContext(ctx, `INSERT INTO platform VALUES (1, ?) ON CONFLICT DO NOTHING`, r.cfg.Partitions); err != nil {
		return fmt.Errorf("the partition count cannot be recorded: %w", err)
	}
	var n int32
	if err := db.QueryRowContext(ctx, `SELECT partitions FROM platform`).Scan(&n); err != nil {
		return fmt.Errorf("the partition count cannot be read: %w", err)
	}
	if n != r.cfg.Partitions {
		return fmt.Errorf("the read model was made for %d partitions, the platform has %d: remove its file to build it again", n, r.cfg.Partitions)
	}
	err := each(ctx, db, `SELECT topic, partition, topic_id, next FROM cursors`, func(rows *sql.Rows) error {
		at, c := place{}, cursor{stored: true}
		err := rows.Scan(&at.topic, &at.partition, &c.id, &c.next)
		r.cursors[at] = c
		return err
	})
	if err != nil {
		return fmt.Errorf("the cursors cannot be read: %w", err)
	}
	err = each(ctx, db, `SELECT topic, partition, lane, seq FROM seen`, func(rows *sql.Rows) error {
		var k source
		var seq int64
		err := rows.Scan(&k.topic, &k.partition, &k.lane, &seq)
		r.seen[k] = seq
		return err
	})
	if err != nil {
		return fmt.Errorf("the sequences seen cannot be read: %w", err)
	}
	return nil
}

// each calls f for every row of a query.
func each(ctx context.Context, db *sql.DB, query string, f func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
