package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Nonsense is refused by the name of its key.
func TestNonsenseIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"http: nonsense":                             "http",
		"http: 'h:99999'":                            "http",
		"data: ''":                                   "data",
		"partitions: 3.99":                           "partitions",
		"partitions: -1":                             "partitions",
		"partitions: '8'":                            "partitions",
		"postgres: {max_conns: -5}":                  "postgres.max_conns",
		"postgres: {max_conns: 1.5}":                 "postgres.max_conns",
		"postgres: {url: 'mysql://h/db'}":            "postgres.url",
		"rabbitmq: {url: 'http://h'}":                "rabbitmq.url",
		"mongo: {url: nonsense}":                     "mongo.url",
		"redis: {url: 'redis://h:99999'}":            "redis.url",
		"consul: {url: 'h:8500'}":                    "consul.url",
		"consul: {advertise: 'h:1'}":                 "consul.advertise",
		"clickhouse: {url: 'ftp://h'}":               "clickhouse.url",
		"prometheus: {url: 'file:///x'}":             "prometheus.url",
		"jaeger: {url: 'jaeger:16686'}":              "jaeger.url",
		"alertmanager: {url: 'ftp://a'}":             "alertmanager.url",
		"outside: {provider: x}":                     "outside.provider",
		"outside: {carrier: 'https:///x'}":           "outside.carrier",
		"outside: {mailbox: x}":                      "outside.mailbox",
		"otlp: {endpoint: 'http://h:1'}":             "otlp.endpoint",
		"otlp: {spans_per_second: -1}":               "otlp.spans_per_second",
		"quota: {per_second: .nan}":                  "quota.per_second",
		"quota: {per_second: .inf}":                  "quota.per_second",
		"quota: {burst: -1}":                         "quota.burst",
		"history_days: -1":                           "history_days",
		"history_days: 9999999":                      "history_days",
		"kafka: {brokers: [nonsense]}":               "kafka.brokers",
		"kafka: {brokers: [':9092']}":                "kafka.brokers",
		"kafka: {replication: 0}":                    "kafka.replication",
		"kafka: {replication: 99999}":                "replication",
		"kafka: {min_insync_replicas: -1}":           "kafka.min_insync_replicas",
		"kafka: {sasl: {mechanism: PLAIN}}":          "kafka.sasl.user",
		"kafka: {sasl: {user: x}}":                   "kafka.sasl.mechanism",
		"logs: {level: loud}":                        "logs.level",
		"logs: {levle: info}":                        "levle",
		"http: 127.0.0.1:1\n---\nhttp: 127.0.0.1:2":  "second document",
		"http: 127.0.0.1:1\nhttp: 127.0.0.1:2":       "http",
		"- http":                                     "has to be",
		"kafka: [a]":                                 "has to be",
		"postgres: {url: 'postgres://u:hunter2@'}":   "postgres.url",
		"outside: {provider: 'ftp://hunter2@h/x'}":   "outside.provider",
		"postgres: {url: [hunter2hunter2]}":          "has to be",
		"partitions: {hunter2hunter2: 1}":            "has to be",
		"kafka: {brokers: ['u:hunter2@h:1']}":        "kafka.brokers",
		"history_days: 0x1p-2":                       "history_days",
		"quota: {per_second: lots}":                  "has to be",
		"kafka: {tls: {enabled: 'hunter2 perhaps'}}": "has to be",
	} {
		_, err := Load(write(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(Hide(err.Error()), "hunter2@") || strings.Contains(err.Error(), "config.") {
			t.Errorf("%q: error %v, want one that names %s", text, err, want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "http: ':0'", "http: '[::1]:1'", "kafka: {brokers: ['[::1]:9092']}", "mongo: {url: 'mongodb://a:1,b:2/?replicaSet=x'}",
		"postgres: {url: 'host=h dbname=d'}", "partitions: 0x10", "history_days: ~", "quota: {per_second: 1e3}", "redis: {url: 'rediss://:p@h:1/0'}"} {
		if _, err := Load(write(t, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A variable that nothing reads was meant for something.
func TestMisspeltVariablesAreRefused(t *testing.T) {
	path := write(t, "")
	for name, wrong := range map[string]bool{"WEIR_POSTGRESS_URL": true, "WEIR_KAFKA_BROKER": true, "WEIR_": true, "WEIR_KAFAK_BROKERS": true,
		"WEIR_URL": false, "WEIR_GRAFANA_TOKEN": false, "WEIR_REAL_KAFKA": false, "WEIRD": false, "weir_url": false,
		"WEIR_SERVICE_HOST": false, "WEIR_SERVICE_PORT_HTTP": false, "WEIR_PORT": false, "WEIR_PORT_8080_TCP_ADDR": false, "WEIR_GATEWAY_PORT_80_TCP": false, "WEIR_GATEWAY_SERVICE_HOST": false} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "http://hunter2")
			if _, err := Load(path); (err != nil) != wrong || wrong && (!strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%v", err)
			}
		})
	}
	for _, name := range Variables() {
		if err := misspelt([]string{name + "=x"}); err != nil {
			t.Error(err)
		}
	}
}

func TestFilesThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	c := Default()
	c.Data, c.Logs.File = filepath.Join(dir, "not", "yet"), filepath.Join(dir, "log")
	if err := c.CheckFiles(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a check leaves %v behind (%v)", left, err)
	}
	c.Logs.File = filepath.Join(dir, "nowhere", "x")
	if err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), "logs.file") {
		t.Errorf("%v", err)
	}
	file := write(t, "")
	c.Logs.File, c.Data = "", file
	if err := c.CheckFiles(); err == nil || !strings.Contains(err.Error(), "data") {
		t.Errorf("%v", err)
	}
}

// A key may stand anywhere in a URL, and in the error of whoever uses it.
func TestSecretsAreHiddenWhereverTheyStand(t *testing.T) {
	for _, s := range []Secret{"https://key-hunter2@api/key-hunter2/x", "https://u:hunter2@api:8443", "https://api/?key=hunter2hunter2", "postgres://u:hunter2@h/db?sslmode=disable",
		"redis://:hunter2@h/0", "amqp://hunter2@h/", "mongodb://u:hunter2@a:1,b:2/db", "hunter2-token", "https://api/v1/hunter2#x", "https://u:hunt%65r2@api/"} {
		if strings.Contains(s.String(), "hunter2") {
			t.Errorf("%s is shown as %s", s.Reveal(), s)
		}
		Conceal(s)
		for _, said := range []string{
			fmt.Sprintf("Get %q: connection refused", s.Reveal()),
			fmt.Sprintf("failed to connect to `user=u`: %s: no route", s.Reveal()),
		} {
			if got := Hide(said); strings.Contains(got, "hunter2") || !strings.Contains(got, "connect") {
				t.Errorf("%q becomes %q", said, got)
			}
		}
	}
	Conceal("https://u:p@api/x/y")
	for _, said := range []string{"weir is up", "a path /x/y of somebody else", "up"} {
		if got := Hide(said); got != said {
			t.Errorf("%q becomes %q", said, got)
		}
	}
	for s, want := range map[Secret]string{"postgres://weir:secret@127.0.0.1:1/weir": "postgres://weir:xxxxx@127.0.0.1:1/weir", "mongodb://127.0.0.1:1/": "mongodb://127.0.0.1:1/",
		"https://api/v1/charges": "https://api/xxxxx", "redis://h/0": "redis://h/0"} {
		if s.String() != want {
			t.Errorf("%s is shown as %s", s.Reveal(), s)
		}
	}
}
