package mongo

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
)

// Saga finds the sagas that a correlation began.
func (s *Store) Saga(ctx context.Context, correlation string) ([]projection.Saga, error) {
	docs, err := find[saga](ctx, s.db.Collection("sagas"), bson.D{{Key: "correlation", Value: correlation}}, options.Find().SetSort(ascending("started", "saga")))
	if err == nil && len(docs) == 0 {
		return nil, notFound("saga of correlation", correlation)
	}
	return s.told(ctx, docs, err)
}

// ListSagas lists sagas, the newest first.
func (s *Store) ListSagas(ctx context.Context, q projection.SagaQuery) ([]projection.Saga, error) {
	filter := bson.D{}
	if q.Name != "" {
		filter = append(filter, bson.E{Key: "saga", Value: q.Name})
	}
	switch q.State {
	case projection.Running:
		filter = append(filter, bson.E{Key: "ended", Value: int64(0)})
	case projection.Ended:
		filter = append(filter, bson.E{Key: "ended", Value: bson.D{{Key: "$gt", Value: int64(0)}}})
	}
	if m := q.After; m != nil {
		filter = append(filter, beyond("$lt", bson.D{{Key: "started", Value: m.Started}, {Key: "saga", Value: m.Name}, {Key: "correlation", Value: m.Correlation}}))
	}
	docs, err := find[saga](ctx, s.db.Collection("sagas"), filter, options.Find().SetSort(descending("started", "saga", "correlation")).SetLimit(int64(q.Limit)))
	return s.told(ctx, docs, err)
}

// told adds what their correlations have become.
func (s *Store) told(ctx context.Context, docs []saga, err error) ([]projection.Saga, error) {
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, x := range docs {
		ids = append(ids, x.Correlation)
	}
	out := []projection.Saga{}
	if len(ids) == 0 {
		return out, nil
	}
	found, err := findEach[correlation](ctx, s.db.Collection("correlations"), "_id", ids)
	if err != nil {
		return nil, err
	}
	of := map[string]correlation{}
	for _, c := range found {
		of[c.ID] = c
	}
	for _, x := range docs {
		c := of[x.Correlation]
		state := projection.Running
		if x.Ended > 0 {
			state = projection.Ended
		}
		out = append(out, projection.Saga{Name: x.Name, Correlation: x.Correlation, Subject: x.Subject, State: state,
			Started: projection.Moment(x.Started), Due: projection.Moment(x.Due), Ended: projection.Moment(x.Ended), EndedBy: x.EndedBy,
			Last: c.Last, LastAt: projection.Moment(c.LastAt), Events: c.Events})
	}
	return out, nil
}

// running are the oldest running sagas, at most limit; fields nil for all of them.
func (s *Store) running(ctx context.Context, limit int, fields any) ([]saga, error) {
	return find[saga](ctx, s.db.Collection("sagas"), bson.D{{Key: "ended", Value: int64(0)}},
		options.Find().SetSort(ascending("started", "saga", "correlation")).SetLimit(int64(limit)).SetProjection(fields))
}

// InFlight counts running sagas.
func (s *Store) InFlight(ctx context.Context, now time.Time, limit int) (f projection.InFlight, err error) {
	docs, err := s.running(ctx, limit, ascending("started", "due"))
	f.Sagas = len(docs)
	for i, x := range docs {
		if i == 0 {
			f.Oldest = projection.Moment(x.Started)
		}
		if x.Due < projection.Nanos(now) {
			f.Late++
		}
	}
	return f, err
}

// Late lists running sagas that are beyond their declared time.
func (s *Store) Late(ctx context.Context, now time.Time, limit int) ([]projection.Saga, error) {
	docs, err := s.running(ctx, limit, nil)
	docs = slices.DeleteFunc(docs, func(x saga) bool { return x.Due >= projection.Nanos(now) })
	return s.told(ctx, docs[:min(len(docs), projection.PageSize)], err)
}
