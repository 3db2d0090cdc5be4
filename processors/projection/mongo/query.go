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
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// orderRow is an order's document as queries read it.
type orderRow struct {
	ID          string `bson:"_id"`
	State       string `bson:"state"`
	Customer    string `bson:"customer"`
	Correlation string `bson:"correlation"`
	Outcome     string `bson:"outcome"`
	Reason      string `bson:"reason"`
	Carrier     string `bson:"carrier"`
	Tracking    string `bson:"tracking"`
	Currency    string `bson:"currency"`
	Total       int64  `bson:"total"`
	Lines       int    `bson:"lines"`
	Placed      int64  `bson:"placed"`
	Delayed     int64  `bson:"delayed"`
	Confirmed   int64  `bson:"confirmed"`
	Released    int64  `bson:"released"`
	Shipped     int64  `bson:"shipped"`
	Cancelled   int64  `bson:"cancelled"`
	Closed      int64  `bson:"closed"`
}

func (o *orderRow) order() projection.Order {
	return projection.Order{ID: o.ID, Customer: o.Customer, State: o.State, Closed: o.Closed > 0, Outcome: o.Outcome, Reason: o.Reason,
		Total: event.Money{Minor: o.Total, Currency: o.Currency}, Lines: o.Lines, Carrier: o.Carrier, Tracking: o.Tracking, Correlation: o.Correlation,
		PlacedAt: projection.Moment(o.Placed), DelayedAt: projection.Moment(o.Delayed), ConfirmedAt: projection.Moment(o.Confirmed), ReleasedAt: projection.Moment(o.Released),
		ShippedAt: projection.Moment(o.Shipped), CancelledAt: projection.Moment(o.Cancelled), ClosedAt: projection.Moment(o.Closed)}
}

// Order finds an order whose placement has been read.
func (s *Store) Order(ctx context.Context, id string) (projection.Order, error) {
	var o orderRow
	err := s.db.Collection("orders").FindOne(ctx, bson.D{{Key: "_id", Value: id}, above("placed", 0)}).Decode(&o)
	if errors.Is(err, driver.ErrNoDocuments) {
		return projection.Order{}, notFound("order", id)
	}
	if err != nil {
		return projection.Order{}, failed(ctx, fmt.Sprintf("order %q cannot be read", id), err)
	}
	return o.order(), nil
}

func notFound(what, name string) error {
	return fmt.Errorf("%s %q: %w", what, name, projection.ErrNotFound)
}

// ListOrders lists placed orders, the newest first.
func (s *Store) ListOrders(ctx context.Context, q projection.OrderQuery) ([]projection.Order, error) {
	filter := bson.D{above("placed", 0)}
	if q.Customer != "" {
		filter = append(filter, bson.E{Key: "customer", Value: q.Customer})
	}
	if q.State != "" {
		filter = append(filter, bson.E{Key: "state", Value: q.State})
	}
	if q.After != nil {
		filter = append(filter, beyond("$lt", bson.D{{Key: "placed", Value: q.After.Placed}, {Key: "_id", Value: q.After.ID}}))
	}
	docs, err := find[orderRow](ctx, s.db.Collection("orders"), filter, options.Find().SetSort(descending("placed", "_id")).SetLimit(int64(q.Limit)))
	if err != nil {
		return nil, err
	}
	items := []projection.Order{}
	for i := range docs {
		items = append(items, docs[i].order())
	}
	return items, nil
}

// Counts are the placed orders by state.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	out := map[string]int64{}
	for _, state := range projection.States {
		var count struct {
			N int64 `bson:"n"`
		}
		err := s.db.RunCommand(ctx, bson.D{{Key: "count", Value: "orders"}, {Key: "query", Value: bson.D{{Key: "state", Value: state}, above("placed", 0)}}}).Decode(&count)
		if err != nil {
			return nil, failed(ctx, "orders cannot be counted", err)
		}
		if count.N > 0 {
			out[state] = count.N
		}
	}
	return out, nil
}

// Passages are those of the newest orders.
func (s *Store) Passages(ctx context.Context, after time.Time, limit int) ([]projection.Passage, error) {
	docs, err := find[orderRow](ctx, s.db.Collection("orders"), bson.D{above("placed", max(projection.Nanos(after), 0))},
		options.Find().SetSort(descending("placed", "_id")).SetLimit(int64(limit)).SetProjection(ascending("state", "closed", "placed", "confirmed", "cancelled")))
	var out []projection.Passage
	for _, o := range docs {
		out = append(out, projection.Passage{State: o.State, Closed: o.Closed > 0,
			Placed: projection.Moment(o.Placed), Confirmed: projection.Moment(o.Confirmed), Cancelled: projection.Moment(o.Cancelled)})
	}
	return out, err
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
	Order       string `bson:"order"`
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
}

func newEntry(e *projection.Event) entry {
	return entry{eventID(e), e.ID, e.Type, e.Version, e.Source, e.Kind, e.Key, e.Order, e.Correlation, e.Causation,
		projection.Nanos(e.Time), e.Lane, e.Seq, e.Topic, e.Partition, e.Offset, e.Traceparent, e.Data}
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

// History lists every event about an order, earliest first.
func (s *Store) History(ctx context.Context, id string) ([]projection.Entry, error) {
	if id == "" {
		return []projection.Entry{}, nil
	}
	about := []bson.D{{{Key: "order", Value: id}}}
	found, err := find[orderRow](ctx, s.db.Collection("orders"), bson.D{{Key: "_id", Value: id}})
	if err != nil {
		return nil, err
	}
	for _, o := range found {
		about = append(about, bson.D{{Key: "correlation", Value: o.Correlation}, {Key: "order", Value: ""}})
	}
	return s.union(ctx, 0, about...)
}

// Events lists every event of a correlation, earliest first.
func (s *Store) Events(ctx context.Context, correlation string) ([]projection.Entry, error) {
	return s.entries(ctx, bson.D{{Key: "correlation", Value: correlation}}, 0)
}

// FirstEvents are a correlation's earliest events and those about an order.
func (s *Store) FirstEvents(ctx context.Context, correlation, order string, limit int) ([]projection.Entry, error) {
	filters := []bson.D{{{Key: "correlation", Value: correlation}}}
	if order != "" {
		filters = append(filters, bson.D{{Key: "order", Value: order}})
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

func above(name string, value int64) bson.E {
	return bson.E{Key: name, Value: bson.D{{Key: "$gt", Value: value}}}
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
