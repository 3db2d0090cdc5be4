package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"go.yaml.in/yaml/v3"

	"github.com/weirstream/weir/deploy/logs"
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
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&lines, nil), slog.NewTextHandler(&lines, nil), logs.NewHandler(&lines, slog.LevelInfo, "test")} {
		slog.New(h).Info("printed", "config", c, "address", &c, "secret", c.Consul.Token)
	}
	for _, printed := range []string{string(b), string(j), lines.String(), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%v", &c), fmt.Sprintf("%#v", c),
		fmt.Sprintf("%q %x", c.Consul.Token, c.Consul.Token)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("a secret is printed: %s", printed)
		}
	}
	if !strings.Contains(string(b), "postgres://weir:xxxxx@h/db") {
		t.Errorf("a URL without its password is not shown: %s", b)
	}
	if strings.Count(lines.String(), "msg=printed")+strings.Count(lines.String(), `"printed"`) != 3 {
		t.Errorf("not every handler wrote its line: %s", lines.String())
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"kafak: {}":                       "kafak",
		"partitions: 0":                   "partitions",
		"partitions: many":                "partitions",
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

// authority is the file of a certificate that signs itself.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func TestKafkaClient(t *testing.T) {
	k := Kafka{Brokers: []string{"a:1", "b:2"}, Rack: "r1", TLS: TLS{Enabled: true, CA: authority(t), ServerName: "kafka"},
		SASL: SASL{Mechanism: "SCRAM-SHA-512", User: "weir", Password: "hunter2"}}
	cl := client(t, &k)
	if got := fmt.Sprint(cl.OptValue(kgo.SeedBrokers)); got != "[a:1 b:2]" {
		t.Errorf("seeds are %s", got)
	}
	if got := cl.OptValue(kgo.Rack); got != "r1" {
		t.Errorf("the rack is %v", got)
	}
	if c, ok := cl.OptValue(kgo.DialTLSConfig).(*tls.Config); !ok || c == nil || c.ServerName != "kafka" || c.RootCAs == nil || c.InsecureSkipVerify || c.MinVersion < tls.VersionTLS12 {
		t.Errorf("TLS is %+v", c)
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		k.SASL.Mechanism = mechanism
		if s, ok := client(t, &k).OptValue(kgo.SASL).([]sasl.Mechanism); !ok || len(s) != 1 || s[0].Name() != mechanism {
			t.Errorf("SASL is %v, want %s", s, mechanism)
		}
	}
	none := client(t, &Kafka{Brokers: []string{"a:1"}})
	if c, _ := none.OptValue(kgo.DialTLSConfig).(*tls.Config); c != nil || none.OptValue(kgo.Rack) != "" || len(none.OptValue(kgo.SASL).([]sasl.Mechanism)) > 0 {
		t.Error("a client that nothing was said about has a rack, TLS or SASL")
	}
	k.TLS.CA = write(t, "no certificate")
	if _, err := k.Client(); err == nil || !strings.Contains(err.Error(), "kafka.tls.ca") {
		t.Errorf("a CA that is none: %v", err)
	}
}

func client(t *testing.T, k *Kafka) *kgo.Client {
	t.Helper()
	opts, err := k.Client()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}
