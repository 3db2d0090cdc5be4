//go:build real

package probe

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/rabbitmq"
	"github.com/weirstream/weir/streams/streamtest"
)

// The configuration's TLS and SASL are those that a broker with both asks for.
func TestKafkaWithTLSAndSASL(t *testing.T) {
	c := config.Default()
	user, password, _ := strings.Cut(streamtest.Real(t, "kafka-admin"), ":")
	c.Kafka.Brokers = []string{streamtest.Real(t, "kafka-sasl")}
	c.Kafka.TLS = config.TLS{Enabled: true, CA: streamtest.Real(t, "kafka-ca")}
	c.Kafka.SASL = config.SASL{Mechanism: "SCRAM-SHA-512", User: user, Password: config.Secret(password)}
	if r := row(t, &c, "kafka"); !r.Answers || r.Version == "" {
		t.Errorf("the right password: %+v", r)
	}
	wrong, stranger, clear := c, c, c
	wrong.Kafka.SASL.Password = "hunter2"
	stranger.Kafka.TLS.CA = ""
	clear.Kafka.TLS.Enabled = false
	for want, c := range map[string]*config.Config{"SASL": &wrong, "certificate": &stranger, "": &clear} {
		r := row(t, c, "kafka")
		if told := strings.Join(r.Problems, "\n"); r.Answers || !strings.Contains(told, want) || strings.Contains(told, "no answer within") || strings.Contains(told, "hunter2") {
			t.Errorf("want a refusal that says %q: %+v", want, r)
		}
	}
}

// alone is a topology of one service that no other test has.
func alone() (string, *streams.Topology) {
	name := "probe-" + strings.ToLower(rand.Text())
	return name, &streams.Topology{Services: []streams.Service{{Name: name}}}
}

// ask probes one server, which has to answer.
func ask(t *testing.T, p prober) Row {
	t.Helper()
	p.address = "given"
	r := p.run(t.Context())
	if !r.OK() {
		t.Fatalf("%+v", r)
	}
	return r
}

func TestMissingSchemas(t *testing.T) {
	url, ctx := streamtest.Real(t, "postgres"), t.Context()
	c := config.Default()
	c.Postgres.URL = config.Secret(url)
	service, top := alone()
	if got := ask(t, prober{probe: postgresServer(&c, top)}).Missing; !slices.Equal(got, []string{"schema weir_" + service}) {
		t.Errorf("before the service's first start %q is missing", got)
	}
	pool, err := postgres.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Open(ctx, service); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, prober{probe: postgresServer(&c, top)}).Missing; len(got) > 0 {
		t.Errorf("after it %q is missing", got)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "DROP SCHEMA "+pgx.Identifier{"weir_" + service}.Sanitize()+" CASCADE"); err != nil {
		t.Error(err)
	}
}

// The bound is the process's, however many services it has.
func TestMoreConnectionsThanTheServerHas(t *testing.T) {
	c := config.Default()
	c.Postgres.URL = config.Secret(streamtest.Real(t, "postgres"))
	many := &streams.Topology{}
	for n := range 50 {
		many.Services = append(many.Services, streams.Service{Name: fmt.Sprint("service-", n)})
	}
	for conns, want := range map[int32]string{config.Default().Postgres.MaxConns: "", 10_000: "the server allows"} {
		c.Postgres.MaxConns = conns
		p := prober{address: "given", probe: postgresServer(&c, many)}
		if got := strings.Join(p.run(t.Context()).Problems, "; "); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("max_conns %d: problems %q, want %q", conns, got, want)
		}
	}
}

func TestMissingQueues(t *testing.T) {
	url := streamtest.Real(t, "rabbitmq")
	c := config.Default()
	c.RabbitMQ.URL, c.Partitions = config.Secret(url), 3
	service, top := alone()
	queue := func(lane int) string { return fmt.Sprintf("queue weir.commands.%s.%d", service, lane) }
	missing := func() []string {
		return slices.DeleteFunc(ask(t, prober{probe: rabbitmqServer(&c, top)}).Missing, func(s string) bool { return s == "queue weir.commands.dead" }) // which others may have
	}
	if got := missing(); !slices.Equal(got, []string{queue(0), queue(1), queue(2)}) {
		t.Errorf("before the service's first start %q is missing", got)
	}
	many := c
	many.Partitions = 1 << 16
	if got := ask(t, prober{probe: rabbitmqServer(&many, top)}).Missing; !strings.HasPrefix(got[len(got)-1], "perhaps some of ") {
		t.Errorf("more queues than there is time for: the last of %d missing ones is %q", len(got), got[len(got)-1])
	}
	port, err := rabbitmq.Open(url, rabbitmq.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	defer port.Serve(service, 1, 1).Close()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := missing()
		if slices.Equal(got, []string{queue(0), queue(2)}) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("while lane 1 is served %q is missing", got)
		}
	}
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDelete(strings.TrimPrefix(queue(1), "queue "), false, false, false); err != nil {
		t.Error(err)
	}
}
