package config

import (
	"os/exec"
	"strings"
	"testing"
)

// printed is what a command of this repository prints.
func printed(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// The weir.yaml of servers on this machine names those that were asked for: one
// that does not run would be waited for.
func TestLocalServersAreConfigured(t *testing.T) {
	for _, x := range []struct{ names, skip, named string }{
		{"kafka postgres", "", "kafka postgres"},
		{"kafka postgres", "postgres", "kafka"},
		{"", "consul, jaeger shipper", "kafka postgres rabbitmq mongo redis clickhouse prometheus carrier"},
		{"", "", "kafka postgres rabbitmq mongo redis consul clickhouse otlp jaeger prometheus logs carrier"},
	} {
		t.Setenv("SKIP", x.skip)
		text := printed(t, "deploy/local/servers/servers", append([]string{"config"}, strings.Fields(x.names)...)...)
		c, err := Load(write(t, text))
		if err != nil {
			t.Fatalf("%+v: %v\n%s", x, err, text)
		}
		var named []string
		for _, part := range []struct {
			name string
			is   bool
		}{
			{"kafka", len(c.Kafka.Brokers) == 1}, {"postgres", c.Postgres.URL != ""}, {"rabbitmq", c.RabbitMQ.URL != ""}, {"mongo", c.Mongo.URL != ""},
			{"redis", c.Redis.URL != ""}, {"consul", c.Consul.URL != ""}, {"clickhouse", c.ClickHouse.URL != ""}, {"otlp", c.OTLP.Endpoint != ""},
			{"jaeger", c.Jaeger.URL != ""}, {"prometheus", c.Prometheus.URL != ""}, {"logs", c.Logs.File != "" && c.Logs.Format == "ecs"}, {"carrier", c.Outside["carrier"] != ""},
		} {
			if part.is {
				named = append(named, part.name)
			}
			if !part.is && strings.Contains(text, "\n"+part.name+":") {
				t.Errorf("%+v: there is an empty section:\n%s", x, text)
			}
		}
		if got := strings.Join(named, " "); got != x.named {
			t.Errorf("%+v: named are %s", x, got)
		}
	}
}

func TestMakeUpConfiguresWhatItStarts(t *testing.T) {
	if plan := printed(t, "make", "-n", "up", "NAMES=kafka postgres"); !strings.Contains(plan, "servers up kafka postgres\n") || !strings.Contains(plan, "servers config kafka postgres >") {
		t.Errorf("make up does not start and name the same servers:\n%s", plan)
	}
}
