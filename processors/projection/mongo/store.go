// Package mongo keeps the read model in MongoDB: a projection.Store of plain
// documents, each of which is changed alone. It uses no transactions, no
// aggregations and nothing else that a standalone server lacks.
//
// A batch is written rows first and cursors last, so one that was cut off is
// written again; and every write can be repeated, by whoever read the same
// record, without changing what is there. History is keyed by lane and sequence,
// or by the record's place in the log. Documents that gather several events keep,
// per partition and lane, the last sequence that they hold, and are swapped against
// the revision that was read. A claim stamps its epoch on every cursor; a cursor
// moves only for its own epoch, from where it was read.
//
// It was tried against FerretDB 1.24, which speaks MongoDB's protocol, and never
// against mongod. So elections, rollbacks, write concerns, logins and what
// mongod's planner makes of the indexes are built to its documentation, and not
// measured. FerretDB itself is for trying out: a query by a list or a range reads
// the whole collection, so documents are asked for one by one and in parallel; an
// update takes 2 ms; and of two conditional updates at once both win, so two
// writers at the same time miscount there.
package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// schemaVersion is raised with every change of what documents mean.
const schemaVersion = 3

// Limits where the address gives none.
const (
	connections      = 16
	operationTimeout = 10 * time.Second // of one whose context ends no sooner
	selectionTimeout = 5 * time.Second  // until a server that is away is an error
)

// index is made when the store is opened. _id has its own.
type index struct {
	collection string
	keys       []string
}

var indexes = []index{
	{"history", []string{"correlation", "time"}},
	{"history", []string{"topic", "lane", "seq"}},
	{"history", []string{"time", "_id"}},
	{"correlations", []string{"last_at", "_id"}},
	{"sagas", []string{"correlation"}},
	{"sagas", []string{"about"}},
	{"sagas", []string{"started", "saga", "correlation"}},
	{"sagas", []string{"ended", "started", "saga", "correlation"}},
	{"sagas", []string{"ended", "_id"}},
	{"saga_ends", []string{"of"}},
	{"saga_ends", []string{"about"}},
	{"saga_ends", []string{"time", "_id"}},
	{"skipped", []string{"at", "_id"}},
	{"externals", []string{"at"}},
	{"pruned", []string{"topic", "lane"}},
}

// Store is a projection.Store in a database of MongoDB.
type Store struct {
	client       *driver.Client
	db           *driver.Database
	views        map[string]*view
	kinds        []string         // of keys whose history can be asked for
	first        map[string]*view // of each of the kinds
	correlations kept[*correlation]
	sagas        kept[*saga]
	updating     chan struct{} // a place for each command that updates
	forgot       atomic.Int64  // up to when ids of events from outside were removed
}

var _ projection.Store = (*Store)(nil)

// Open connects to the server of a mongodb:// address and makes what the
// database lacks. A server that does not answer within 5 s, or what the address
// says, is projection.ErrUnavailable. A database of another schema version, or made
// for other views, is refused: a projection is rebuilt from the log, not migrated.
//
// Reads go to the primary, and writes wait for a majority, whatever the address
// says: the order of a batch's writes is its only proof.
func Open(ctx context.Context, address, database string, views []*business.View) (*Store, error) {
	opts := options.Client().ApplyURI(address)
	if opts.Validate() != nil { // whose error may quote a password
		return nil, errors.New("the address of MongoDB cannot be read: it is mongodb://user:password@host:port/, with user and password percent-encoded")
	}
	opts.SetReadPreference(readpref.Primary()).SetWriteConcern(writeconcern.Majority())
	if opts.MaxPoolSize == nil {
		opts.SetMaxPoolSize(connections)
	}
	if opts.Timeout == nil {
		opts.SetTimeout(operationTimeout)
	}
	if opts.ServerSelectionTimeout == nil {
		opts.SetServerSelectionTimeout(selectionTimeout)
	}
	client, err := driver.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("no client for MongoDB: %w", err)
	}
	s := &Store{client: client, db: client.Database(database), updating: make(chan struct{}, updatesAtOnce)}
	s.declare(views)
	if err := s.prepare(ctx, views); err != nil {
		return nil, errors.Join(fmt.Errorf("read model %s: %w", database, err), s.Close())
	}
	return s, nil
}

// platform is the document of the read model as a whole.
type platform struct {
	ID         string `bson:"_id"`
	Schema     int    `bson:"schema"`
	Views      string `bson:"views"`      // the fingerprint of those that it is made for
	Partitions int32  `bson:"partitions"` // 0 until the first claim
	Epoch      int64  `bson:"epoch"`
}

const platformID = "read model"

// cure is that of a database that this program cannot go on with.
const cure = "drop it, and the read model is built again from the event stores and the log"

// prepare checks the schema before it makes indexes of this one.
func (s *Store) prepare(ctx context.Context, views []*business.View) error {
	has := projection.Fingerprint(views)
	_, err := s.db.Collection("platform").InsertOne(ctx, platform{ID: platformID, Schema: schemaVersion, Views: has})
	if err != nil && !driver.IsDuplicateKeyError(err) {
		return failed(ctx, "its document cannot be made", err)
	}
	var p platform
	if err := s.db.Collection("platform").FindOne(ctx, bson.D{{Key: "_id", Value: platformID}}).Decode(&p); err != nil {
		return failed(ctx, "its document cannot be read", err)
	}
	if p.Schema != schemaVersion {
		return fmt.Errorf("the database has schema version %d, this program has %d: %s", p.Schema, schemaVersion, cure)
	}
	if p.Views != has {
		return fmt.Errorf("the database was made for other views (%s) than this program declares (%s): %s", p.Views, has, cure)
	}
	for _, x := range append(indexes[:len(indexes):len(indexes)], s.viewIndexes()...) {
		if _, err := s.db.Collection(x.collection).Indexes().CreateOne(ctx, driver.IndexModel{Keys: ascending(x.keys...)}); err != nil {
			return failed(ctx, "an index of "+x.collection+" cannot be made", err)
		}
	}
	return nil
}

// Close ends the store. Its writer must have ended.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), selectionTimeout)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil {
		return fmt.Errorf("connections to MongoDB not closed: %w", err)
	}
	return nil
}

// ascending and descending are sort orders.
func ascending(fields ...string) bson.D { return sorted(1, fields) }

func descending(fields ...string) bson.D { return sorted(-1, fields) }

func sorted(direction int, fields []string) (d bson.D) {
	for _, f := range fields {
		d = append(d, bson.E{Key: f, Value: direction})
	}
	return d
}

// find decodes every document that a filter chooses.
func find[D any](ctx context.Context, c *driver.Collection, filter any, opts ...options.Lister[options.FindOptions]) ([]D, error) {
	out := []D{}
	cursor, err := c.Find(ctx, filter, opts...)
	if err == nil {
		err = cursor.All(ctx, &out)
	}
	if err != nil {
		return nil, failed(ctx, c.Name()+" cannot be read", err)
	}
	return out, nil
}

// insert adds documents. Those that are there already were written before.
func insert(ctx context.Context, c *driver.Collection, docs []any) error {
	if len(docs) == 0 {
		return nil
	}
	some := slices.Collect(slices.Chunk(docs, maxInserts))
	return inParallel(len(some), func(i int) error {
		_, err := c.InsertMany(ctx, some[i], options.InsertMany().SetOrdered(false))
		if err != nil && !repeats(err) {
			return failed(ctx, c.Name()+" cannot be written", err)
		}
		return nil
	})
}
