package mongo

import (
	"context"
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
)

// pruneRows bounds the documents of one step of Prune.
const pruneRows = 1000

// always is the earliest time of a row, and ended the earliest end of a saga.
const always, ended = math.MinInt64, 1

// Prune removes what is from before a time, in small steps. One that was cut
// off is finished by the next.
func (s *Store) Prune(ctx context.Context, t time.Time) error {
	keep := func(context.Context, []bson.Raw) ([]string, error) { return nil, nil }
	for _, x := range []struct {
		collection, field string
		from              int64
		except            func(context.Context, []bson.Raw) ([]string, error) // asked before the documents go
	}{
		{"history", "time", always, s.markPruned},
		{"correlations", "last_at", always, s.stillRunning},
		{"sagas", "ended", ended, keep},
		{"saga_ends", "time", always, keep},
		{"skipped", "at", always, keep},
	} {
		span := bson.D{{Key: x.field, Value: bson.D{{Key: "$gte", Value: x.from}, {Key: "$lt", Value: projection.Nanos(t)}}}}
		if err := remove(ctx, s.db.Collection(x.collection), x.field, span, x.except); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the documents of a span of a field but the exceptions, by pages.
func remove(ctx context.Context, c *driver.Collection, field string, span bson.D, except func(context.Context, []bson.Raw) ([]string, error)) error {
	for filter := span; ; {
		docs, err := find[bson.Raw](ctx, c, filter, options.Find().SetSort(ascending(field, "_id")).SetLimit(pruneRows))
		if err != nil || len(docs) == 0 {
			return err
		}
		stay, err := except(ctx, docs)
		if err != nil {
			return err
		}
		var ids []string
		for _, d := range docs {
			if id := d.Lookup("_id").StringValue(); !slices.Contains(stay, id) {
				ids = append(ids, id)
			}
		}
		// The span once more: a document may have changed since.
		if _, err := c.DeleteMany(ctx, append(in("_id", ids), span...)); err != nil {
			return failed(ctx, c.Name()+" cannot be pruned", err)
		}
		last := docs[len(docs)-1]
		filter = append(span[:1:1], beyond("$gt", bson.D{{Key: field, Value: last.Lookup(field).Int64()}, {Key: "_id", Value: last.Lookup("_id").StringValue()}}))
	}
}

// pruned is the highest sequence of a lane that went out of the history.
type pruned struct {
	topic, lane string
	seq         int64
}

// markPruned keeps how far each lane's events have gone, so that Holds still
// knows them.
func (s *Store) markPruned(ctx context.Context, docs []bson.Raw) ([]string, error) {
	high := map[string]pruned{}
	for _, d := range docs {
		var e entry
		if err := bson.Unmarshal(d, &e); err != nil {
			return nil, failed(ctx, "history cannot be read", err)
		}
		if e.Lane == "" {
			continue
		}
		id := place(e.Topic, e.Partition) + "/" + e.Lane
		high[id] = pruned{e.Topic, e.Lane, max(high[id].seq, e.Seq)}
	}
	var writes []driver.WriteModel
	for id, p := range high {
		writes = append(writes, driver.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: id}}).SetUpsert(true).SetUpdate(bson.D{
			{Key: "$set", Value: bson.D{{Key: "topic", Value: p.topic}, {Key: "lane", Value: p.lane}}}, {Key: "$max", Value: bson.D{{Key: "seq", Value: p.seq}}}}))
	}
	for some := range slices.Chunk(writes, maxUpdates) {
		s.updating <- struct{}{}
		_, err := s.db.Collection("pruned").BulkWrite(ctx, some)
		<-s.updating
		if err != nil {
			return nil, failed(ctx, "what was pruned cannot be noted", err)
		}
	}
	return nil, nil
}

// stillRunning are the correlations that a running saga needs.
func (s *Store) stillRunning(ctx context.Context, docs []bson.Raw) (out []string, err error) {
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.Lookup("_id").StringValue())
	}
	found, err := find[saga](ctx, s.db.Collection("sagas"), append(in("correlation", ids), bson.E{Key: "ended", Value: int64(0)}))
	for _, x := range found {
		out = append(out, x.Correlation)
	}
	return out, err
}
