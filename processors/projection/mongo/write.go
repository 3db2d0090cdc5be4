package mongo

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// Write applies a batch. The order of the steps matters: history after all that
// follows from it, as Holds looks there; the ids of events from outside after
// that, as they make a repeat be skipped; the cursors last.
func (s *Store) Write(ctx context.Context, b *projection.Batch) error {
	apart := []func(context.Context, *projection.Batch) error{s.writeDocuments, s.writeCorrelations, s.writeSagas, s.writeSkipped}
	if err := inParallel(len(apart), func(i int) error { return apart[i](ctx, b) }); err != nil {
		return err
	}
	for _, step := range []func(context.Context, *projection.Batch) error{s.writeHistory, s.writeExternals, s.move} {
		if err := step(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// correlation counts the events of a saga. The latest is the last one of the
// history, whatever was read last.
type correlation struct {
	ID       string        `bson:"_id"`
	Rev      bson.ObjectID `bson:"rev"`
	Read     marks         `bson:"read"`
	Events   int64         `bson:"events"`
	Last     string        `bson:"last"` // the type of the latest event
	LastAt   int64         `bson:"last_at"`
	LastLane string        `bson:"last_lane"`
	LastSeq  int64         `bson:"last_seq"`
}

func (c *correlation) key() (*string, *bson.ObjectID) { return &c.ID, &c.Rev }

func (s *Store) writeCorrelations(ctx context.Context, b *projection.Batch) error {
	of := newGroups[*projection.Event]()
	for i := range b.Events {
		of.add(b.Events[i].Correlation, &b.Events[i])
	}
	return swap(ctx, s, s.db.Collection("correlations"), &s.correlations, of.ids, func(c *correlation) (changed bool) {
		for _, e := range of.of[c.ID] {
			if c.Read.take(e) {
				c.apply(e)
				changed = true
			}
		}
		return changed
	})
}

func (c *correlation) apply(e *projection.Event) {
	at := projection.Nanos(e.Time)
	if c.Events == 0 || cmp.Or(cmp.Compare(at, c.LastAt), cmp.Compare(e.Lane, c.LastLane), cmp.Compare(e.Seq, c.LastSeq), cmp.Compare(e.Type, c.Last)) > 0 {
		c.Last, c.LastAt, c.LastLane, c.LastSeq = e.Type, at, e.Lane, e.Seq
	}
	c.Events++
}

// groups are what is said of each document, in the order in which it was read.
type groups[T any] struct {
	ids []string
	of  map[string][]T
}

func newGroups[T any]() *groups[T] { return &groups[T]{of: map[string][]T{}} }

func (g *groups[T]) add(id string, x T) {
	if g.of[id] == nil {
		g.ids = append(g.ids, id)
	}
	g.of[id] = append(g.of[id], x)
}

func (s *Store) writeSkipped(ctx context.Context, b *projection.Batch) error {
	var docs []any
	for _, x := range b.Skipped {
		docs = append(docs, skipped{ID: record(x.Topic, x.Partition, x.Offset), Topic: x.Topic, Partition: x.Partition, Offset: x.Offset,
			At: projection.Nanos(x.At), Reason: x.Reason})
	}
	return insert(ctx, s.db.Collection("skipped"), docs)
}

func (s *Store) writeHistory(ctx context.Context, b *projection.Batch) error {
	var docs []any
	for i := range b.Events {
		docs = append(docs, s.newEntry(&b.Events[i]))
	}
	return insert(ctx, s.db.Collection("history"), docs)
}

// forgetEvery is how often ids of events from outside are removed.
const forgetEvery = 10 * time.Minute

// external is the id of an event from outside, kept to tell its repeats.
type external struct {
	ID string `bson:"_id"`
	At int64  `bson:"at"`
}

func (s *Store) writeExternals(ctx context.Context, b *projection.Batch) error {
	if len(b.Externals) == 0 {
		return nil
	}
	c := s.db.Collection("externals")
	var docs []any
	for _, x := range b.Externals {
		docs = append(docs, external{path(x.Source, x.ID), projection.Nanos(x.At)})
	}
	if err := insert(ctx, c, docs); err != nil {
		return err
	}
	// Now and then: FerretDB looks at all of them.
	forget := projection.Nanos(b.Forget)
	if forget-s.forgot.Load() < int64(forgetEvery) {
		return nil
	}
	if _, err := c.DeleteMany(ctx, before("at", b.Forget)); err != nil {
		return failed(ctx, "old ids of events from outside cannot be removed", err)
	}
	s.forgot.Store(forget)
	return nil
}

// Known tells which events from outside were written.
func (s *Store) Known(ctx context.Context, ids []streams.ExternalID) (map[streams.ExternalID]bool, error) {
	asked, names := map[string]streams.ExternalID{}, []string{}
	for _, x := range ids {
		name := path(x.Source, x.ID)
		asked[name] = streams.ExternalID{Source: x.Source, ID: x.ID}
		names = append(names, name)
	}
	docs, err := findEach[external](ctx, s.db.Collection("externals"), "_id", names)
	known := map[streams.ExternalID]bool{}
	for _, d := range docs {
		known[asked[d.ID]] = true
	}
	return known, err
}

// move writes the cursors, if they are still this writer's. One that is there
// already was moved by a try whose answer was lost.
func (s *Store) move(ctx context.Context, b *projection.Batch) error {
	var writes []driver.WriteModel
	for _, m := range b.Moves {
		moved := bson.D{{Key: "next", Value: m.Next}}
		for lane, seq := range m.Seen {
			moved = append(moved, bson.E{Key: "seen." + field(string(lane)), Value: seq})
		}
		own := append(bson.D{{Key: "_id", Value: place(m.Topic, m.Partition)}, {Key: "epoch", Value: b.Epoch}}, in("next", []int64{m.From, m.Next})...)
		writes = append(writes, driver.NewUpdateOneModel().SetFilter(own).SetUpdate(set(moved)))
	}
	done, err := s.write(ctx, s.db.Collection("cursors"), writes)
	if err == nil && !done {
		err = fmt.Errorf("a cursor of epoch %d is not where it was: %w", b.Epoch, projection.ErrFenced)
	}
	return err
}

// eventID names an event wherever it was read.
func eventID(e *projection.Event) string {
	if e.Lane != "" {
		return place(e.Topic, e.Partition) + "/" + e.Lane + "#" + strconv.FormatInt(e.Seq, 10)
	}
	return record(e.Topic, e.Partition, e.Offset)
}

// record names a record by its place in the log.
func record(topic string, partition int32, offset int64) string {
	return place(topic, partition) + "@" + strconv.FormatInt(offset, 10)
}
