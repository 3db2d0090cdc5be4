package mongo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

func notFound(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, name, projection.ErrNotFound)
}

// entry is an event of the history. Data is JSON in bytes: BSON's documents
// would not give back what was written.
type entry struct {
	ID          string `bson:"_id"` // see eventID
	Event       string `bson:"id"`
	Type        string `bson:"type"`
	Version     int    `bson:"version"`
	Source      string `bson:"source"`
	Kind        string `bson:"kind"`
	Key         string `bson:"key"`
	Correlation string `bson:"correlation"`
	Causation   string `bson:"causation"`
	Time        int64  `bson:"time"`
	Lane        string `bson:"lane"`
	Seq         int64  `bson:"seq"`
	Topic       string `bson:"topic"`
	Partition   int32  `bson:"partition"`
	Offset      int64  `bson:"offset"`
	Traceparent string `bson:"traceparent"`
	Data        []byte `bson:"data"`

	About map[string]string `bson:",inline"` // the keys that it names, by about of their kinds
}

func (s *Store) newEntry(e *projection.Event) entry {
	d := entry{eventID(e), e.ID, e.Type, e.Version, e.Source, e.Kind, e.Key, e.Correlation, e.Causation,
		projection.Nanos(e.Time), e.Lane, e.Seq, e.Topic, e.Partition, e.Offset, e.Traceparent, e.Data, map[string]string{}}
	for _, k := range s.kinds {
		d.About[about(k)] = e.About[k]
	}
	return d
}

func (d *entry) entry() projection.Entry {
	return projection.Entry{ID: d.Event, Type: d.Type, Version: d.Version, Source: d.Source, Kind: d.Kind, Key: d.Key, Correlation: d.Correlation, Causation: d.Causation,
		Time: projection.Moment(d.Time), Lane: d.Lane, Seq: d.Seq, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, Traceparent: d.Traceparent, Data: d.Data}
}

// byTime is the order of a history: times may be equal, and a lane's own
// sequence then decides.
var byTime = ascending("time", "lane", "seq", "topic", "partition", "offset")

func compareTime(a, b projection.Entry) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Seq, b.Seq),
		cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
}

// History lists every event about a key, earliest first.
func (s *Store) History(ctx context.Context, kind, key string) ([]projection.Entry, error) {
	v := s.first[kind]
	if v == nil || key == "" {
		return []projection.Entry{}, nil
	}
	named := []bson.D{{{Key: about(kind), Value: key}}}
	found, err := find[document](ctx, s.documents(v), bson.D{{Key: "_id", Value: key}})
	if err != nil {
		return nil, err
	}
	for _, d := range found {
		if d.Begun != nil {
			named = append(named, bson.D{{Key: "correlation", Value: d.Saga}, {Key: about(kind), Value: ""}})
		}
	}
	return s.union(ctx, 0, named...)
}

// Events lists every event of a correlation, earliest first.
func (s *Store) Events(ctx context.Context, correlation string) ([]projection.Entry, error) {
	return s.entries(ctx, bson.D{{Key: "correlation", Value: correlation}}, 0)
}

// FirstEvents are a correlation's earliest events and those that name a key.
func (s *Store) FirstEvents(ctx context.Context, correlation, kind, key string, limit int) ([]projection.Entry, error) {
	filters := []bson.D{{{Key: "correlation", Value: correlation}}}
	if s.first[kind] != nil && key != "" {
		filters = append(filters, bson.D{{Key: about(kind), Value: key}})
	}
	return s.union(ctx, limit, filters...)
}

// union are the entries that one of the filters chooses, at most limit of each. A
// query for each: an index serves one of them, and not always their $or.
func (s *Store) union(ctx context.Context, limit int, filters ...bson.D) ([]projection.Entry, error) {
	out := []projection.Entry{}
	for _, f := range filters {
		some, err := s.entries(ctx, f, limit)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, compareTime)
	return slices.CompactFunc(out, func(a, b projection.Entry) bool { return compareTime(a, b) == 0 }), nil
}

// entries are the earliest events that a filter chooses, all of them if limit is 0.
func (s *Store) entries(ctx context.Context, filter bson.D, limit int) ([]projection.Entry, error) {
	docs, err := find[entry](ctx, s.db.Collection("history"), filter, options.Find().SetSort(byTime).SetLimit(int64(limit)))
	if err != nil {
		return nil, err
	}
	out := []projection.Entry{}
	for i := range docs {
		out = append(out, docs[i].entry())
	}
	return out, nil
}

// Holds looks for the event itself: the highest sequence of its lane proves
// nothing, as the lane's events lie in several partitions.
func (s *Store) Holds(ctx context.Context, t streams.Token) (bool, error) {
	if t.Lane == "" {
		return false, nil
	}
	of := bson.D{{Key: "topic", Value: t.Topic}, {Key: "lane", Value: string(t.Lane)}}
	for collection, seq := range map[string]any{"history": t.Seq, "pruned": bson.D{{Key: "$gte", Value: t.Seq}}} {
		err := s.db.Collection(collection).FindOne(ctx, append(of[:2:2], bson.E{Key: "seq", Value: seq}), options.FindOne().SetProjection(ascending("_id"))).Err()
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, driver.ErrNoDocuments) {
			return false, failed(ctx, fmt.Sprintf("the read model cannot look for %s", t), err)
		}
	}
	return false, nil
}

// skipped is a record that was passed over.
type skipped struct {
	ID        string `bson:"_id"`
	Topic     string `bson:"topic"`
	Partition int32  `bson:"partition"`
	Offset    int64  `bson:"offset"`
	At        int64  `bson:"at"`
	Reason    string `bson:"reason"`
}

// Skips lists the latest passed-over records.
func (s *Store) Skips(ctx context.Context) ([]projection.Skipped, error) {
	sort := append(descending("at"), ascending("topic", "partition", "offset")...)
	docs, err := find[skipped](ctx, s.db.Collection("skipped"), bson.D{}, options.Find().SetSort(sort).SetLimit(projection.PageSize))
	out := []projection.Skipped{}
	for _, x := range docs {
		out = append(out, projection.Skipped{Topic: x.Topic, Partition: x.Partition, Offset: x.Offset, At: projection.Moment(x.At), Reason: x.Reason})
	}
	return out, err
}

func before(name string, t time.Time) bson.D {
	return bson.D{{Key: name, Value: bson.D{{Key: "$lt", Value: projection.Nanos(t)}}}}
}

// beyond chooses what comes after a mark in the order of its fields: in one of
// them, while those before it are equal.
func beyond(operator string, mark bson.D) bson.E {
	var any bson.A
	for i, f := range mark {
		any = append(any, append(mark[:i:i], bson.E{Key: f.Key, Value: bson.D{{Key: operator, Value: f.Value}}}))
	}
	return bson.E{Key: "$or", Value: any}
}
