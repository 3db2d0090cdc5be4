package mongo

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
)

// swappable is a document that is read, changed here, and swapped against its revision,
// which is unlike any that it ever had. key gives both; a new one has no revision.
type swappable[D any] interface {
	*D
	key() (id *string, rev *bson.ObjectID)
}

// swap lets change bring each document up to date; change tells whether it did.
// One that is not remembered is taken for a new one at first: whether it is there
// shows when it is inserted, and most are not. Those that are, or that another
// writer has changed in between, are read.
func swap[D any, P swappable[D]](ctx context.Context, s *Store, c *driver.Collection, known *kept[P], ids []string, change func(P) bool) error {
	docs := map[string]P{}
	for _, id := range ids {
		d, ok := known.take(id)
		if !ok {
			d = blank[D, P](id)
		}
		docs[id] = d
	}
	read := map[string]bool{}
	for {
		var writes []driver.WriteModel
		var again []string
		for _, id := range ids {
			d := docs[id]
			_, rev := d.key()
			switch isNew := rev.IsZero(); {
			case change(d):
				writes = append(writes, swapped(d))
			case isNew && !read[id]:
				again = append(again, id) // nothing to insert, which would tell
			}
		}
		done, err := s.write(ctx, c, writes)
		if err != nil {
			return err
		}
		if !done {
			again = ids
		}
		if len(again) == 0 {
			break
		}
		found, err := findEach[D](ctx, c, "_id", again)
		if err != nil {
			return err
		}
		for _, id := range again {
			docs[id], read[id] = blank[D, P](id), true
		}
		for i := range found {
			d := P(&found[i])
			id, _ := d.key()
			docs[*id] = d
		}
	}
	for id, d := range docs {
		if _, rev := d.key(); !rev.IsZero() {
			known.keep(id, d)
		}
	}
	return nil
}

func blank[D any, P swappable[D]](name string) P {
	d := P(new(D))
	id, _ := d.key()
	*id = name
	return d
}

// swapped writes a document in the place of the revision that was read.
func swapped[D any, P swappable[D]](d P) driver.WriteModel {
	id, rev := d.key()
	was := *rev
	*rev = bson.NewObjectID()
	if was.IsZero() {
		return driver.NewInsertOneModel().SetDocument(d)
	}
	return driver.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: *id}, {Key: "rev", Value: was}}).SetReplacement(d)
}

// Bounds of what is asked of the server at once. FerretDB holds a connection to
// its own database, of which it may have no more than 80, for each update of a
// command until the command ends: with more updates on their way than connections
// it waits for ever.
const (
	atOnce        = 8  // commands of one kind
	updatesAtOnce = 6  // commands that update, of a store
	maxUpdates    = 10 // of one command
	maxInserts    = 100
)

// inParallel calls f for every one of n, and gives the first error.
func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// few are the values that are asked for one by one. FerretDB reads and sends the
// whole collection for a list of values, and looks through it for a single one.
const few = 64

// findEach decodes the documents whose field has one of the values.
func findEach[D any](ctx context.Context, c *driver.Collection, field string, values []string, opts ...options.Lister[options.FindOptions]) ([]D, error) {
	if len(values) > few {
		return find[D](ctx, c, in(field, values), opts...)
	}
	found := make([][]D, len(values))
	err := inParallel(len(values), func(i int) (err error) {
		found[i], err = find[D](ctx, c, bson.D{{Key: field, Value: values[i]}}, opts...)
		return err
	})
	return slices.Concat(found...), err
}

// write tells whether every write found its document as it was. They are of
// different documents, and need no order.
func (s *Store) write(ctx context.Context, c *driver.Collection, writes []driver.WriteModel) (bool, error) {
	inserts, updates := split(writes)
	some := slices.Concat(slices.Collect(slices.Chunk(inserts, maxInserts)), slices.Collect(slices.Chunk(updates, maxUpdates)))
	updating := (len(updates) + maxUpdates - 1) / maxUpdates // the last ones
	missed := make([]bool, len(some))
	err := inParallel(len(some), func(i int) error {
		if i >= len(some)-updating {
			s.updating <- struct{}{}
			defer func() { <-s.updating }()
		}
		res, err := c.BulkWrite(ctx, some[i], options.BulkWrite().SetOrdered(false))
		switch {
		case err != nil && repeats(err):
			missed[i] = true
		case err != nil:
			return failed(ctx, c.Name()+" cannot be written", err)
		default:
			missed[i] = res.InsertedCount+res.MatchedCount != int64(len(some[i]))
		}
		return nil
	})
	return err == nil && !slices.Contains(missed, true), err
}

func split(writes []driver.WriteModel) (inserts, updates []driver.WriteModel) {
	for _, w := range writes {
		if _, ok := w.(*driver.InsertOneModel); ok {
			inserts = append(inserts, w)
		} else {
			updates = append(updates, w)
		}
	}
	return inserts, updates
}

// marks are what a document holds of each writer: the last sequence of a lane in a
// partition, or the offset of the last record that no lane wrote. It holds all that
// came before, too: who writes a batch begins where everything before is written,
// and goes on in order.
type marks map[string]int64

// take tells whether a record is new here, and marks it.
func (m *marks) take(e *projection.Event) bool {
	from, n := place(e.Topic, e.Partition), e.Offset
	if e.Lane != "" {
		from, n = from+"/"+e.Lane, e.Seq
	}
	from = field(from)
	if at, ok := (*m)[from]; ok && n <= at {
		return false
	}
	if *m == nil {
		*m = marks{}
	}
	(*m)[from] = n
	return true
}

// place names a partition.
func place(topic string, partition int32) string {
	return topic + "/" + strconv.Itoa(int(partition))
}

// path names a thing by two names, the first of which has no slash then.
func path(a, b string) string { return url.PathEscape(a) + "/" + b }

// field escapes what the name of a field cannot hold; unfield gives it back.
func field(s string) string {
	return strings.NewReplacer("%", "%25", ".", "%2E", "$", "%24", "\x00", "%00").Replace(s)
}

func unfield(s string) string {
	if s, err := url.PathUnescape(s); err == nil {
		return s
	}
	return s
}

func in[T any](name string, values []T) bson.D {
	return bson.D{{Key: name, Value: bson.D{{Key: "$in", Value: values}}}}
}
