package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheEnvironmentHasTheLastWord(t *testing.T) {
	path := write(t, "partitions: 8\nkafka: {brokers: [a:1], sasl: {mechanism: SCRAM-SHA-512, user: weir, password: p1}}\npostgres: {url: 'postgres://u:p2@h/db'}\n")
	t.Setenv("WEIR_KAFKA_BROKERS", "b:1, c:2")
	t.Setenv("WEIR_KAFKA_SASL_PASSWORD", "p3")
	t.Setenv("WEIR_OTLP_TLS", "true")
	t.Setenv("WEIR_QUOTA_PER_SECOND", "2.5")
	t.Setenv("WEIR_POSTGRES_MAX_CONNS", "3")
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.Partitions != 8 || fmt.Sprint(c.Kafka.Brokers) != "[b:1 c:2]" || c.Kafka.SASL.Password.Reveal() != "p3" || !c.OTLP.TLS ||
		c.Quota.PerSecond != 2.5 || c.Postgres.MaxConns != 3 || c.Postgres.URL.Reveal() != "postgres://u:p2@h/db" || c.HTTP != Default().HTTP {
		t.Errorf("loaded %+v", c)
	}
}

// However a configuration is printed, its secrets are not.
func TestSecretsAreNotPrinted(t *testing.T) {
	c := Default()
	c.Kafka.SASL.Password, c.Consul.Token = "hunter2", "hunter2"
	c.Postgres.URL, c.RabbitMQ.URL, c.Redis.URL = "postgres://weir:hunter2@h/db?password=hunter2", "amqp://weir:hunter2@h/", "redis://:hunter2@h/0"
	c.Mongo.URL = "hunter2 is no URL"
	b, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{string(b), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%v", &c)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("a secret is printed: %s", printed)
		}
	}
	if !strings.Contains(string(b), "postgres://weir:xxxxx@h/db") {
		t.Errorf("a URL without its password is not shown: %s", b)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"kafak: {}":                       "kafak",
		"partitions: 0":                   "partitions",
		"partitions: many":                "many",
		"kafka: {protocol: new}":          "kafka.protocol",
		"kafka: {min_insync_replicas: 2}": "min_insync_replicas",
		"kafka: {sasl: {mechanism: MD5}}": "kafka.sasl.mechanism",
		"kafka: {tls: {cert: x}}":         "kafka.tls.key",
		"logs: {format: xml}":             "logs.format",
	} {
		if _, err := Load(write(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that names %s", text, err, want)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "nowhere.yaml")); err == nil {
		t.Error("a named file that is not there is no error")
	}
	t.Chdir(t.TempDir())
	if _, err := Load(""); err != nil {
		t.Errorf("no file at all: %v", err)
	}
	t.Setenv("WEIR_PARTITIONS", "secret")
	if _, err := Load(""); err == nil || !strings.Contains(err.Error(), "WEIR_PARTITIONS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad variable: %v", err)
	}
}

func TestEveryFieldHasAVariable(t *testing.T) {
	v := Variables()
	for _, want := range []string{"WEIR_HTTP", "WEIR_KAFKA_TLS_CA", "WEIR_REDIS_URL", "WEIR_QUOTA_BURST"} {
		if !slices.Contains(v, want) {
			t.Errorf("%s is missing in %v", want, v)
		}
	}
	for _, name := range v {
		if strings.Contains(name, "__") || strings.HasSuffix(name, "_") {
			t.Errorf("%s: a field has no yaml name", name)
		}
	}
}
