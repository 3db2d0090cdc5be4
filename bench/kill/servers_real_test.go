//go:build real

package kill

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/streamtest"
)

// shared is the platform on real servers: processes that share the work.
type shared struct {
	t         *testing.T
	outside   *outside
	processes []*process
	load      *load
	probes    *load // asks the second process only
	kafka     []kgo.Opt
	postgres  string // URL
	db        *pgxpool.Pool
	paused    time.Time // when the first process was stopped
}

// newShared clears the servers of what was there before, starts two processes
// that run everything, and waits until they do.
func newShared(t *testing.T, binary string, trouble sim.Faults, env ...string) *shared {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	s := &shared{t: t, outside: newOutside(t, trouble), postgres: streamtest.Real(t, "postgres")}
	s.kafka = streamtest.NewClusterOn(t, top, partitions, streamtest.Real(t, "kafka")).Client()
	clearQueues(t, top)
	s.db, err = pgxpool.New(t.Context(), s.postgres)
	check(t, err)
	t.Cleanup(s.db.Close)
	clearStores(t, top, s.db)
	clearCache(t)
	env = append(s.environment(ownDatabase(t)), env...)
	s.load = &load{t: t, pause: 400 * time.Millisecond, most: 4000, stock: 1500, refused: map[string]int{}}
	s.load.twice.Store(8)
	s.probes = &load{t: t, stop: func() {}, done: make(chan struct{})}
	close(s.probes.done)
	for range 2 {
		p := newProcess(t, binary, env, "run", "all")
		s.processes = append(s.processes, p)
		s.load.bases = append(s.load.bases, p.base())
		p.start()
	}
	s.probes.bases = s.load.bases[1:]
	for _, p := range s.processes {
		_, err := p.ready(30 * time.Second)
		check(t, err)
	}
	t.Logf("the first order is confirmed after %v", s.works())
	return s
}

func (s *shared) environment(database string) []string {
	t, o := s.t, s.outside
	return []string{"WEIR_KAFKA_BROKERS=" + streamtest.Real(t, "kafka"), "WEIR_PARTITIONS=" + fmt.Sprint(partitions),
		"WEIR_POSTGRES_URL=" + s.postgres, "WEIR_RABBITMQ_URL=" + streamtest.Real(t, "rabbitmq"),
		"WEIR_MONGO_URL=" + streamtest.Real(t, "mongo"), "WEIR_MONGO_DATABASE=" + database,
		"WEIR_REDIS_URL=" + streamtest.Real(t, "redis"), "WEIR_CONSUL_URL=" + streamtest.Real(t, "consul"),
		"WEIR_OTLP_ENDPOINT=" + streamtest.Real(t, "jaeger-grpc"), "WEIR_LOGS_LEVEL=info",
		"WEIR_OUTSIDE_PROVIDER=" + o.providerURL, "WEIR_OUTSIDE_CARRIER=" + o.carrierURL, "WEIR_OUTSIDE_MAILBOX=" + o.mailboxAddr}
}

// ownDatabase names a database of MongoDB's that goes with the test.
func ownDatabase(t *testing.T) string {
	t.Helper()
	cl, err := mongo.Connect(options.Client().ApplyURI(streamtest.Real(t, "mongo")))
	check(t, err)
	name := "kill_" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := cl.Database(name).Drop(ctx); err != nil {
			t.Errorf("the read model is left behind: %v", err)
		}
		_ = cl.Disconnect(ctx) // nothing is under way
	})
	return name
}

func clearQueues(t *testing.T, top *streams.Topology) {
	t.Helper()
	conn, err := amqp.Dial(streamtest.Real(t, "rabbitmq"))
	check(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	check(t, err)
	names := []string{"weir.commands.dead"}
	for _, s := range top.Services {
		for lane := range partitions {
			names = append(names, fmt.Sprintf("weir.commands.%s.%d", s.Name, lane))
		}
	}
	for _, n := range names {
		_, err := ch.QueueDelete(n, false, false, false)
		check(t, err)
	}
}

func clearStores(t *testing.T, top *streams.Topology, db *pgxpool.Pool) {
	t.Helper()
	for _, s := range top.Services {
		_, err := db.Exec(t.Context(), "DROP SCHEMA IF EXISTS "+pgx.Identifier{"weir_" + s.Name}.Sanitize()+" CASCADE")
		check(t, err)
	}
}

// clearCache makes Redis forget the replies of orders that are gone.
func clearCache(t *testing.T) {
	t.Helper()
	o, err := redis.ParseURL(streamtest.Real(t, "redis"))
	check(t, err)
	cl := redis.NewClient(o)
	defer cl.Close()
	check(t, cl.FlushDB(t.Context()).Err())
}

// confirmed counts the orders that the event store has as confirmed.
func (s *shared) confirmed() (n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	check(s.t, s.db.QueryRow(ctx, "SELECT count(*) FROM weir_order.events WHERE type='order.confirmed'").Scan(&n))
	return n
}

const (
	// recovery bounds the time from a fault's end until an order that was placed
	// after it is confirmed; display that until the read model shows it. FerretDB,
	// which catches up slowly, is what needs most of that.
	recovery = 30 * time.Second
	display  = 60 * time.Second
)

// recovered is how long it took.
type recovered struct{ confirmed, shown time.Duration }

func (r recovered) String() string {
	return fmt.Sprintf("%v, and shown after %v", r.confirmed.Round(time.Millisecond), r.shown.Round(time.Millisecond))
}

// works places orders until in every partition one that was placed since the
// call is confirmed and shown: then every lane is at work.
func (s *shared) works() (slowest recovered) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), display)
	defer cancel()
	all := make([]recovered, partitions)
	var wg sync.WaitGroup
	for part := range all {
		wg.Go(func() { all[part] = s.probe(ctx, int32(part)) })
	}
	wg.Wait()
	for part, r := range all {
		if r.confirmed == 0 || r.confirmed > recovery {
			s.t.Fatalf("the next order of partition %d is confirmed after %v: want that within %v", part, r.confirmed, recovery)
		}
		if r.shown == 0 {
			s.t.Fatalf("the next order of partition %d, confirmed after %v, is not shown after %v", part, r.confirmed, display)
		}
		slowest = recovered{max(slowest.confirmed, r.confirmed), max(slowest.shown, r.shown)}
	}
	return slowest
}

// probe tries more than one order, as one in ten payments is declined. What did
// not come about within ctx is 0.
func (s *shared) probe(ctx context.Context, part int32) (r recovered) {
	var placed []string
	var next time.Time
	for began := time.Now(); ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(next) {
			id := inPartition("probe-"+strings.ToLower(rand.Text()[:6]), part)
			s.probes.place(ctx, id, orderOf(id, probeLines))
			placed, next = append(placed, id), time.Now().Add(time.Second)
		}
		for _, id := range placed {
			if r.confirmed == 0 && s.stored(ctx, part, id) {
				r.confirmed = time.Since(began)
			}
			if r.confirmed > 0 && !s.probes.look(event.OrderID(id), 0).ConfirmedAt.IsZero() {
				r.shown = time.Since(began)
				return r
			}
		}
	}
	return r
}

// stored tells whether the event store has an order as confirmed. One that does
// not answer has none.
func (s *shared) stored(ctx context.Context, part int32, id string) (yes bool) {
	err := s.db.QueryRow(ctx, "SELECT EXISTS (SELECT FROM weir_order.events WHERE lane=$1 AND stream=$2 AND type='order.confirmed')", part, []byte(id)).Scan(&yes)
	return err == nil && yes
}

// probeLines take from a shelf in every partition.
var probeLines = func() (lines []event.Line) {
	for part := range int32(partitions) {
		lines = append(lines, event.Line{SKU: event.SKU(inPartition("probe", part)), Quantity: 1, Unit: event.Money{Minor: 100, Currency: "GBP"}})
	}
	return lines
}()

// inPartition is a name with that beginning whose lane is part.
func inPartition(begin string, part int32) string {
	for n := 0; ; n++ {
		if name := fmt.Sprintf("%s-%d", begin, n); streams.Partition(name, partitions) == part {
			return name
		}
	}
}

// end lets the load end, stops the processes that run and audits what is left.
func (s *shared) end() {
	s.t.Helper()
	s.outside.mend(s.t)
	s.load.finish(s.t, s.kafka)
	s.probes.finish(s.t, s.kafka)
	s.stop()
	if !s.examine().OK() {
		s.t.Error("the books do not balance")
	}
}

func (s *shared) examine() *audit.Report {
	s.t.Helper()
	s.load.acknowledged = append(s.load.acknowledged, s.probes.acknowledged...)
	pool, err := postgres.Connect(s.t.Context(), s.postgres)
	if err != nil {
		s.t.Fatal(err)
	}
	defer pool.Close()
	return s.load.examine(s.t, s.kafka, s.outside, func(service string) (streams.Store, error) { return pool.Open(s.t.Context(), service) })
}

// stop ends the processes one after the other, by both signals that do.
func (s *shared) stop() {
	s.t.Helper()
	for i, p := range s.processes {
		p.stop([]syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2], 15*time.Second)
	}
}
