//go:build real

package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bytedance/sonic"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/streamtest"
)

// rates are one way's measurements, by round.
type rates struct{ perSecond, perCPU []float64 }

func (r *rates) add(n int, took, used time.Duration) {
	r.perSecond = append(r.perSecond, float64(n)/took.Seconds())
	r.perCPU = append(r.perCPU, float64(n)/used.Seconds())
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

const postgresRounds = 5

// BenchmarkPostgresLanes is the lane loop on PostgreSQL beside a bare writer that
// decodes and encodes the same JSON, copies the same rows and upserts the same
// snapshots and cursors, in batches of the same size: in turns, and as the ratio
// of their medians. An op is b.N decisions of each in every round; CPU is this
// process's, without the server's.
func BenchmarkPostgresLanes(b *testing.B) {
	var lanes, bare rates
	b.ResetTimer()
	for range postgresRounds {
		took, used, batch := postgresLanes(b, b.N)
		lanes.add(b.N, took, used)
		took, used = bareWriters(b, b.N, batch)
		bare.add(b.N, took, used)
		b.Logf("lanes %.0f/s, bare %.0f/s, %d inputs a batch", lanes.perSecond[len(lanes.perSecond)-1], bare.perSecond[len(bare.perSecond)-1], batch)
	}
	b.ReportMetric(median(lanes.perSecond), "decisions/s")
	b.ReportMetric(median(lanes.perCPU), "decisions/cpu-s")
	b.ReportMetric(median(bare.perSecond), "bare-rows/s")
	b.ReportMetric(median(bare.perCPU), "bare-rows/cpu-s")
	b.ReportMetric(median(lanes.perSecond)/median(bare.perSecond), "of-bare")
	b.ReportMetric(0, "ns/op")
}

// schema names a schema and drops it at the end.
func schema(b *testing.B, prefix string) (service, name string) {
	b.Helper()
	service = "bench_" + strings.ToLower(rand.Text())
	name = pgx.Identifier{prefix + service}.Sanitize()
	b.Cleanup(func() {
		c, err := pgx.Connect(context.Background(), streamtest.Real(b, "postgres"))
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close(context.Background())
		if _, err := c.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			b.Error(err)
		}
	})
	return service, name
}

// postgresLanes runs the accounting service over n inputs.
func postgresLanes(b *testing.B, n int) (took, used time.Duration, batch int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	opts := broker(b)
	fill(b, opts, n)
	service, _ := schema(b, "weir_")
	pool, err := postgres.Connect(ctx, streamtest.Real(b, "postgres"))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	store, err := pool.Open(ctx, service)
	if err != nil {
		b.Fatal(err)
	}
	p := &progress{left: make(chan int, 1024)}
	i, err := streams.NewInstance(streams.Config{Topology: bookingTopology(b), Client: opts, Partitions: benchLanes, Hooks: append(hooksFor(b, 500), p), StateCache: 2 * benchKeys}, "accounting", store)
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	used, began, batches := cpu(), time.Now(), 0
	go func() { ended <- i.Run(ctx) }()
	for left := n; left > 0; batches++ {
		select {
		case n := <-p.left:
			left -= n
		case err := <-ended:
			b.Fatal(err)
		}
	}
	took, used = time.Since(began), cpu()-used
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return took, used, max(n/batches, 1)
}

const bareTables = `CREATE SCHEMA %[1]s;
CREATE TABLE %[1]s.cursors(lane int PRIMARY KEY, rev bigint NOT NULL, last_seq bigint NOT NULL, maps bytea NOT NULL) WITH (fillfactor=10);
CREATE TABLE %[1]s.events(lane int, seq bigint, decider text NOT NULL, stream text NOT NULL, version bigint NOT NULL, type text NOT NULL,
	topic text NOT NULL, partition int NOT NULL, key text NOT NULL, record bytea NOT NULL, PRIMARY KEY(lane,seq));
CREATE TABLE %[1]s.snapshots(lane int, key text, version bigint NOT NULL, state bytea NOT NULL, PRIMARY KEY(lane,key)) WITH (fillfactor=50)`

// bareWriters books n inputs with as many writers as there are lanes.
func bareWriters(b *testing.B, n, batch int) (took, used time.Duration) {
	ctx := context.Background()
	cfg, err := pgxpool.ParseConfig(streamtest.Real(b, "postgres"))
	if err != nil {
		b.Fatal(err)
	}
	_, name := schema(b, "bare_")
	cfg.ConnConfig.RuntimeParams["search_path"] = name
	cfg.MaxConns = benchLanes
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, fmt.Sprintf(bareTables, name)); err != nil {
		b.Fatal(err)
	}
	var inputs [benchLanes][][]byte
	for i := range n {
		key, data := sample(i)
		lane := streams.Partition(key.String(), benchLanes)
		inputs[lane] = append(inputs[lane], data)
	}
	var wg sync.WaitGroup
	used, began := cpu(), time.Now()
	for lane := range inputs {
		wg.Go(func() {
			w := bareWriter{pool: pool, lane: int32(lane), states: map[account]ledger{}}
			for data := range slices.Chunk(inputs[lane], batch) {
				if err := w.write(ctx, data); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began), cpu() - used
}

// bareWriter is what a lane's work on the store comes to at least.
type bareWriter struct {
	pool   *pgxpool.Pool
	lane   int32
	seq    int64
	states map[account]ledger
}

var bareHeaders, bareMaps = make([]byte, 460), make([]byte, 300) // as long as the lanes' packed headers and cursors

func (w *bareWriter) write(ctx context.Context, data [][]byte) error {
	var rows [][]any
	var keys []string
	var versions []int64
	var states [][]byte
	for _, d := range data {
		var o ordered
		if err := sonic.ConfigStd.Unmarshal(d, &o); err != nil {
			return err
		}
		s := w.states[o.Account]
		e := booked{o.ID, o.Account, o.Amount, s.Sum + o.Amount, o.Details}
		value, err := sonic.ConfigStd.Marshal(e)
		if err != nil {
			return err
		}
		s = s.evolve(e)
		w.states[o.Account] = s
		state, err := sonic.ConfigStd.Marshal(s)
		if err != nil {
			return err
		}
		w.seq++
		rows = append(rows, []any{w.lane, w.seq, "books", string(o.Account), int64(s.Count), "booked", "books.account", w.lane, string(o.Account), append(bareHeaders[:len(bareHeaders):len(bareHeaders)], value...)})
		keys, versions, states = append(keys, string(o.Account)), append(versions, int64(s.Count)), append(states, state)
	}
	return w.store(ctx, rows, keys, versions, states)
}

func (w *bareWriter) store(ctx context.Context, rows [][]any, keys []string, versions []int64, states [][]byte) error {
	return pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue("INSERT INTO cursors VALUES($1,1,$2,$3) ON CONFLICT(lane) DO UPDATE SET rev=cursors.rev+1,last_seq=excluded.last_seq,maps=excluded.maps", w.lane, w.seq, bareMaps)
		batch.Queue("INSERT INTO snapshots SELECT $1,* FROM unnest($2::text[],$3::bigint[],$4::bytea[]) ON CONFLICT(lane,key) DO UPDATE SET version=excluded.version,state=excluded.state",
			w.lane, keys, versions, states)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"events"}, []string{"lane", "seq", "decider", "stream", "version", "type", "topic", "partition", "key", "record"}, pgx.CopyFromRows(rows))
		return err
	})
}
