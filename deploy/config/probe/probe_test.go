package probe

import (
	"net"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
)

// row is what the probe of one server tells.
func row(t *testing.T, c *config.Config, what string) Row {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range All(t.Context(), c, top, shop.Business.Endpoints()) {
		if r.What == what {
			return r
		}
	}
	t.Fatalf("%s is not probed", what)
	return Row{}
}

func TestABadURLIsNotPrinted(t *testing.T) {
	for _, url := range []string{"postgres://weir:hun@ter2@127.0.0.1:99999/db", `host=127.0.0.1 user=weir password=hun\ ter2 port=x`} {
		c := config.Default()
		c.Postgres.URL = config.Secret(url)
		r := row(t, &c, "postgres")
		if told := strings.Join(r.Problems, "\n"); r.Answers || !strings.Contains(told, "postgres.url") || strings.Contains(told+r.Address, "hun") || strings.Contains(told+r.Address, "ter2") {
			t.Errorf("%s: %+v", url, r)
		}
	}
}

// A client that goes on trying must not hide why.
func TestWhoRefusesIsTold(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := free.Addr().String()
	free.Close()
	c := config.Default()
	c.Kafka.Brokers, c.OTLP.Endpoint = []string{away}, away
	c.Postgres.URL, c.RabbitMQ.URL, c.Mongo.URL = config.Secret("postgres://"+away+"/db"), config.Secret("amqp://"+away+"/"), config.Secret("mongodb://"+away+"/")
	c.Redis.URL, c.Consul.URL, c.ClickHouse.URL = config.Secret("redis://"+away+"/0"), config.Secret("http://"+away), config.Secret("http://"+away)
	c.Prometheus.URL = c.Consul.URL
	c.Outside = map[string]config.Secret{"provider": c.Consul.URL, "carrier": c.Consul.URL, "mailbox": config.Secret(away)}
	c.Jaeger.URL, c.Alertmanager.URL = c.Consul.URL, c.Consul.URL
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range All(t.Context(), &c, top, shop.Business.Endpoints()) {
		if !strings.Contains(r.Address, away) {
			t.Errorf("nobody can tell which %s is asked: %q", r.What, r.Address)
		}
		if told := strings.Join(r.Problems, "\n"); r.Answers || !strings.Contains(told, "connection refused") {
			t.Errorf("%+v", r)
		}
	}
}
