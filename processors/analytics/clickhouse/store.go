// Package clickhouse keeps the tables of analytics in ClickHouse, with clickhouse-go, over
// its native protocol or HTTP.
package clickhouse

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// Store implements analytics.Store.
type Store struct {
	conn     driver.Conn
	options  *clickhouse.Options
	schema   *analytics.Schema
	layout   Layout
	database string
	names    map[string][]clickhouse.ColumnNameAndType // for inserts, by table

	whole atomic.Int64 // a block of which all rows were seen
	base  atomic.Int64 // what the numbers of blocks are above, as of the last claim

	mu      sync.Mutex
	writer  string                      // who this is, since the last claim
	epoch   int64                       // the number of the block that claimed
	last    int64                       // the number of the last block that is whole
	cursors map[place]projection.Cursor // after it
	done    []projection.Move           // of the last block
	open    *open                       // a block whose number is taken, and whose rows may not all be there
	since   int                         // blocks since all cursors were written
}

type place struct {
	topic     string
	partition int32
}

// open is a block on its way.
type open struct {
	number int64
	moves  []projection.Move
}

// insertTime bounds one insert. Whoever waits longer asks again under the same token.
const insertTime = time.Minute

// Open connects. The URL is clickhouse://user:password@host:9000/database or
// http://user:password@host:8123/database. It makes no tables: see Plan.
func Open(url string, schema *analytics.Schema, layout Layout) (*Store, error) {
	o, err := Options(url)
	if err != nil {
		return nil, err
	}
	return connect(o, schema, layout)
}

func connect(o *clickhouse.Options, schema *analytics.Schema, layout Layout) (*Store, error) {
	conn, err := clickhouse.Open(o)
	if err != nil {
		return nil, fmt.Errorf("ClickHouse: %w", err)
	}
	s := &Store{conn: conn, options: o, schema: schema, layout: layout, database: o.Auth.Database, names: map[string][]clickhouse.ColumnNameAndType{}}
	for _, t := range schema.Tables {
		for _, c := range t.Columns {
			s.names[t.Name] = append(s.names[t.Name], clickhouse.ColumnNameAndType{Name: c.Name, Type: typeOf(c)})
		}
	}
	return s, nil
}

// Options are the driver's for a URL.
func Options(url string) (*clickhouse.Options, error) {
	o, err := clickhouse.ParseDSN(url)
	if err != nil {
		return nil, fmt.Errorf("the URL of ClickHouse cannot be read: write clickhouse://user:password@host:9000/database, or http://host:8123/database: %w", err)
	}
	if o.Auth.Database == "" {
		o.Auth.Database = "weir"
	}
	if o.Compression == nil {
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	o.MaxOpenConns, o.MaxIdleConns, o.DialTimeout, o.ReadTimeout = 8, 8, 5*time.Second, insertTime
	return o, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Ping asks for a row.
func (s *Store) Ping(ctx context.Context) error {
	var one uint8
	return known(s.conn.QueryRow(ctx, "SELECT 1").Scan(&one))
}

// Prune does nothing: the tables say themselves how long rows stay.
func (s *Store) Prune(context.Context, time.Time) error { return nil }

func newWriter() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// once makes an insert that the server takes once per table and token, in its materialized
// views too.
func (s *Store) once(ctx context.Context, token string, more ...clickhouse.Settings) context.Context {
	set := clickhouse.Settings{"insert_deduplicate": 1, "insert_deduplication_token": token, "deduplicate_blocks_in_dependent_materialized_views": 1, "async_insert": 0}
	for _, m := range more {
		maps.Copy(set, m)
	}
	if s.layout.Cluster != "" {
		set["insert_quorum"], set["distributed_foreground_insert"] = "auto", 1
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(set))
}
