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
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/sagas"
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
}

// newShared clears the servers of what was there before, starts two processes
// that run everything, and waits until they do.
func newShared(t *testing.T, binary string, trouble sim.Faults, env ...string) *shared {
	t.Helper()
	top, err := sagas.Topology()
	check(t, err)
	s := &shared{t: t, outside: newOutside(t, trouble), postgres: streamtest.Real(t, "postgres")}
	s.kafka = streamtest.NewClusterOn(t, top, partitions, streamtest.Real(t, "kafka")).Client()
	clearQueues(t, top)
	clearStores(t, top, s.postgres)
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
	t.Logf("at work %v after the start", s.works(30*time.Second).Round(time.Millisecond))
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

func clearStores(t *testing.T, top *streams.Topology, url string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	check(t, err)
	defer db.Close(context.Background())
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
	db, err := pgx.Connect(ctx, s.postgres)
	check(s.t, err)
	defer db.Close(context.Background())
	check(s.t, db.QueryRow(ctx, "SELECT count(*) FROM weir_order.events WHERE type='order.confirmed'").Scan(&n))
	return n
}

// works places orders until in every partition one that was placed since the
// call is shown as confirmed: then every lane is at work, and so is the read
// model. It tells how long that took.
func (s *shared) works(within time.Duration) time.Duration {
	s.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	var wg sync.WaitGroup
	for part := range int32(partitions) {
		wg.Go(func() {
			if !s.works1(ctx, part) {
				s.t.Errorf("no order of partition %d that was placed since is confirmed after %v", part, within)
			}
		})
	}
	wg.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	return time.Since(began)
}

// works1 tries more than one order, as one in ten payments is declined.
func (s *shared) works1(ctx context.Context, part int32) bool {
	var placed []string
	var next time.Time
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(next) {
			id := inPartition("probe-"+strings.ToLower(rand.Text()[:6]), part)
			s.probes.place(ctx, id, orderOf(id, probeLines))
			placed, next = append(placed, id), time.Now().Add(time.Second)
		}
		for _, id := range placed {
			if !s.probes.look(event.OrderID(id), 0).ConfirmedAt.IsZero() {
				return true
			}
		}
	}
	return false
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
	return s.load.examine(s.t, s.kafka, s.outside, func(service string) (streams.Store, error) {
		return postgres.Open(s.t.Context(), s.postgres, service)
	})
}

// stop ends the processes one after the other, by both signals that do.
func (s *shared) stop() {
	s.t.Helper()
	for i, p := range s.processes {
		p.stop([]syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2], 15*time.Second)
	}
}
