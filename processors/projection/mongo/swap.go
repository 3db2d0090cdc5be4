package mongo

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
)

// document is one that is read, changed here, and swapped against its revision,
// which is unlike any that it ever had. key gives both; a new one has no revision.
type document[D any] interface {
	*D
	key() (id *string, rev *bson.ObjectID)
}

// swap lets change bring each document up to date; change tells whether it did.
// Those that another writer has changed in between are looked at again.
func swap[D any, P document[D]](ctx context.Context, c *driver.Collection, ids []string, change func(P) bool) error {
	for len(ids) > 0 {
		docs, err := find[D](ctx, c, in("_id", ids))
		if err != nil {
			return err
		}
		byID := map[string]P{}
		for i := range docs {
			d := P(&docs[i])
			id, _ := d.key()
			byID[*id] = d
		}
		var writes []driver.WriteModel
		for _, name := range ids {
			d := byID[name]
			if d == nil {
				d = new(D)
				id, _ := d.key()
				*id = name
			}
			if change(d) {
				writes = append(writes, swapped(d))
			}
		}
		done, err := write(ctx, c, writes)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// swapped writes a document in the place of the revision that was read.
func swapped[D any, P document[D]](d P) driver.WriteModel {
	id, rev := d.key()
	was := *rev
	*rev = bson.NewObjectID()
	if was.IsZero() {
		return driver.NewInsertOneModel().SetDocument(d)
	}
	return driver.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: *id}, {Key: "rev", Value: was}}).SetReplacement(d)
}

// maxUpdates bounds the updates of one command: FerretDB holds a connection to
// its own database for each of them until the command ends, and a command with
// more updates than connections waits for ever.
const maxUpdates = 40

// write tells whether every write found its document as it was.
func write(ctx context.Context, c *driver.Collection, writes []driver.WriteModel) (done bool, err error) {
	done = true
	for some := range slices.Chunk(writes, maxUpdates) {
		res, err := c.BulkWrite(ctx, some, options.BulkWrite().SetOrdered(false))
		switch {
		case err != nil && repeats(err):
			done = false
		case err != nil:
			return false, failed(ctx, c.Name()+" cannot be written", err)
		default:
			done = done && res.InsertedCount+res.MatchedCount == int64(len(some))
		}
	}
	return done, nil
}

// marks are, by partition, the offsets of the last records that a document
// holds. It holds all that came before them, too: who writes a batch begins
// where everything before is written, and goes on in order.
type marks map[string]int64

// take tells whether a record is new here, and marks it.
func (m *marks) take(e *projection.Event) bool {
	p := field(place(e.Topic, e.Partition))
	if at, ok := (*m)[p]; ok && e.Offset <= at {
		return false
	}
	if *m == nil {
		*m = marks{}
	}
	(*m)[p] = e.Offset
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
