package platform

import (
	"maps"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
)

// What units share must be named, or each would have one of its own that the
// others never see.
func TestUnitsOfSeveralProcessesShareTheirServers(t *testing.T) {
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	all := config.Default()
	all.Kafka.Brokers, all.RabbitMQ.URL, all.Consul.URL = []string{"h:1"}, "amqp://h/", "http://h"
	all.Postgres.URL, all.Mongo.URL = "postgres://h/db", "mongodb://h/"
	all.Outside = map[string]config.Secret{"provider": "http://h", "carrier": "http://h", "mailbox": "h:25"}
	without := map[string]func(*config.Config){
		"kafka.brokers": func(c *config.Config) { c.Kafka.Brokers = nil },
		"rabbitmq.url":  func(c *config.Config) { c.RabbitMQ.URL = "" },
		"consul.url":    func(c *config.Config) { c.Consul.URL = "" },
		"postgres.url":  func(c *config.Config) { c.Postgres.URL = "" },
		"mongo.url":     func(c *config.Config) { c.Mongo.URL = "" },
		"outside": func(c *config.Config) {
			c.Outside = maps.Clone(c.Outside)
			delete(c.Outside, "carrier")
		},
	}
	shared := []string{"kafka.brokers", "rabbitmq.url", "consul.url"}
	for units, needs := range map[string][]string{
		"all": nil, "order": append(shared[:3:3], "postgres.url", "outside"), "gateway": append(shared[:3:3], "mongo.url"),
		"gateway projection": shared, "gateway projection order": append(shared[:3:3], "postgres.url", "outside"),
	} {
		c, err := choose(top, strings.Fields(units))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.check(&all, shop.Business.Endpoints()); err != nil {
			t.Errorf("%s with everything: %v", units, err)
		}
		needed := " " + strings.Join(needs, " ") + " "
		for name, remove := range without {
			cfg := all
			remove(&cfg)
			err := c.check(&cfg, shop.Business.Endpoints())
			if want := strings.Contains(needed, " "+name+" "); want != (err != nil) || want && !strings.Contains(err.Error(), name) {
				t.Errorf("%s without %s: error %v, want one: %v", units, name, err, want)
			}
		}
	}
}
