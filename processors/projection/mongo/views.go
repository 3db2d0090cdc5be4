package mongo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// view is a declared view with the documents of it that this writer remembers.
type view struct {
	*business.View
	states, times []string // the states, and the columns of their times
	kept          kept[*document]
}

// declare prepares what follows from the views.
func (s *Store) declare(views []*business.View) {
	s.views, s.first = map[string]*view{}, map[string]*view{}
	for _, v := range views {
		x := &view{View: v}
		x.states, x.times = projection.StateColumns(v)
		s.views[v.Name] = x
	}
	kinds, of := projection.HistoryKinds(views)
	for _, k := range kinds {
		s.first[k] = s.views[of[k].Name]
	}
	s.kinds = kinds
}

// of finds what was declared for a view.
func (s *Store) of(name string) (*view, error) {
	if v := s.views[name]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("the read model was opened without view %s: open it with the views of its business", name)
}

func (s *Store) documents(v *view) *driver.Collection {
	return s.db.Collection(projection.Table(v.View))
}

// about is the field of history for the keys of a kind.
func about(kind string) string { return "about_" + kind } // of lower case letters, digits and dashes

// viewIndexes are those that the views need.
func (s *Store) viewIndexes() (out []index) {
	for _, k := range s.kinds {
		out = append(out, index{"history", []string{about(k), "time"}})
	}
	for _, v := range s.views {
		name, sort := projection.Table(v.View), projection.SortColumn(v.View)
		out = append(out, index{name, []string{sort, "_id"}})
		for _, column := range projection.Filters(v.View) {
			out = append(out, index{name, []string{column, sort, "_id"}})
		}
	}
	return out
}

// document is one of a view: the columns that events set, and the state that follows
// from them. It has begun if it has the field begun: what comes later may be read before.
type document struct {
	ID      string         `bson:"_id"`
	Rev     bson.ObjectID  `bson:"rev"`
	Read    marks          `bson:"read"`
	Begun   *int64         `bson:"begun,omitempty"`
	Saga    string         `bson:"saga"`
	State   string         `bson:"state"`
	Columns map[string]any `bson:",inline"`
}

func (d *document) key() (*string, *bson.ObjectID) { return &d.ID, &d.Rev }

// said is what an event says of a document.
type said struct {
	*projection.Event
	change *projection.Change
}

func (s *Store) writeDocuments(ctx context.Context, b *projection.Batch) error {
	of := map[string]*groups[said]{}
	for i := range b.Events {
		e := &b.Events[i]
		for n := range e.Changes {
			c := &e.Changes[n]
			if of[c.View] == nil {
				of[c.View] = newGroups[said]()
			}
			of[c.View].add(c.Key, said{e, c})
		}
	}
	names := slices.Collect(maps.Keys(of))
	return inParallel(len(names), func(i int) error {
		v, err := s.of(names[i])
		if err != nil {
			return err
		}
		group := of[v.Name]
		return swap(ctx, s, s.documents(v), &v.kept, group.ids, func(d *document) (changed bool) {
			for _, x := range group.of[d.ID] {
				if d.Read.take(x.Event) {
					v.apply(d, x)
					changed = true
				}
			}
			return changed
		})
	})
}

func (v *view) apply(d *document, x said) {
	if d.Columns == nil {
		d.Columns = map[string]any{}
	}
	if sort := projection.SortColumn(v.View); v.Sort != "" && d.Columns[sort] == nil {
		d.Columns[sort] = int64(0) // or no page would hold it
	}
	if at := projection.Nanos(x.Time); x.change.Begins && (d.Begun == nil || at < *d.Begun || at == *d.Begun &&
		x.Correlation < d.Saga) {
		d.Begun, d.Saga = &at, x.Correlation
	}
	for _, f := range x.change.Fields {
		d.join(f)
	}
	d.State = ""
	for i, column := range v.times {
		if at, _ := d.Columns[column].(int64); at != 0 {
			d.State = v.states[i]
		}
	}
}

func (d *document) join(f projection.Field) {
	was, _ := d.Columns[f.Column].(int64)
	is, _ := f.Value.(int64)
	switch f.Op {
	case projection.Add:
		d.Columns[f.Column] = projection.Sum(was, is)
	case projection.Latest:
		d.Columns[f.Column] = projection.Later(was, is)
	default:
		d.Columns[f.Column] = f.Value
	}
}

// told is the document as queries answer it.
func (d *document) told(v *view) projection.Document {
	out := projection.Document{Key: d.ID, Correlation: d.Saga, State: d.State,
		Values: projection.Values(v.View, func(column string) any { return d.Columns[column] })}
	if d.Begun != nil {
		out.Begun = projection.Moment(*d.Begun)
	}
	return out
}

// hasBegun chooses the documents that have: whatever number it is, and no document without.
var hasBegun = bson.E{Key: "begun", Value: bson.D{{Key: "$gte", Value: int64(math.MinInt64)}}}

// Document finds a document that has begun.
func (s *Store) Document(ctx context.Context, declared *business.View, key string) (projection.Document, error) {
	v, err := s.of(declared.Name)
	if err != nil {
		return projection.Document{}, err
	}
	var d document
	err = s.documents(v).FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) || err == nil && d.Begun == nil {
		return projection.Document{}, notFound(v.One, key)
	}
	if err != nil {
		return projection.Document{}, failed(ctx, fmt.Sprintf("%s %q cannot be read", v.One, key), err)
	}
	return d.told(v), nil
}

// List lists documents, the greatest first.
func (s *Store) List(ctx context.Context, q projection.ListQuery) ([]projection.Document, error) {
	v, err := s.of(q.View.Name)
	if err != nil {
		return nil, err
	}
	equal, err := q.Equal()
	if err != nil {
		return nil, err
	}
	filter := bson.D{hasBegun}
	if !q.Since.IsZero() {
		filter = bson.D{{Key: "begun", Value: bson.D{{Key: "$gt", Value: projection.Nanos(q.Since)}}}}
	}
	for column, value := range equal {
		filter = append(filter, bson.E{Key: column, Value: value})
	}
	sort := projection.SortColumn(v.View)
	if q.After != nil {
		filter = append(filter, beyond("$lt", bson.D{{Key: sort, Value: q.After.At}, {Key: "_id", Value: q.After.Key}}))
	}
	docs, err := find[document](ctx, s.documents(v), filter, options.Find().SetSort(descending(sort,
		"_id")).SetLimit(int64(q.Limit)).SetProjection(bson.D{{Key: "read", Value: 0}}))
	if err != nil {
		return nil, err
	}
	items := []projection.Document{}
	for i := range docs {
		items = append(items, docs[i].told(v))
	}
	return items, nil
}

// Counts are the documents by state.
func (s *Store) Counts(ctx context.Context, declared *business.View) (map[string]int64, error) {
	v, err := s.of(declared.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]int64{}
	for _, state := range append([]string{""}, v.states...) {
		var count struct {
			N int64 `bson:"n"`
		}
		err := s.db.RunCommand(ctx, bson.D{{Key: "count", Value: projection.Table(v.View)}, {Key: "query",
			Value: bson.D{{Key: "state", Value: state}, hasBegun}}}).Decode(&count)
		if err != nil {
			return nil, failed(ctx, v.Name+" cannot be counted", err)
		}
		if count.N > 0 {
			out[state] = count.N
		}
	}
	return out, nil
}
