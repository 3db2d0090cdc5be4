// Package config is everything that weir can be told about where it runs: a
// weir.yaml, or environment variables, or nothing, and then all is embedded.
package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.yaml.in/yaml/v3"
)

// Config says where things are. An empty address means the embedded part, in
// this process and below Data.
type Config struct {
	HTTP       string  `yaml:"http"`       // address of the interface; 127.0.0.1:8080
	Data       string  `yaml:"data"`       // directory of what is embedded
	Partitions int32   `yaml:"partitions"` // of every topic of the platform, for good
	Kafka      Kafka   `yaml:"kafka"`
	Postgres   SQL     `yaml:"postgres"` // event stores
	RabbitMQ   Server  `yaml:"rabbitmq"` // commands
	Mongo      Mongo   `yaml:"mongo"`    // read models
	Redis      Server  `yaml:"redis"`    // cache, quotas
	Consul     Consul  `yaml:"consul"`   // discovery
	ClickHouse Server  `yaml:"clickhouse"`
	OTLP       OTLP    `yaml:"otlp"`       // traces
	Prometheus Server  `yaml:"prometheus"` // what it knows of objectives and alerts, the live page shows
	Logs       Logs    `yaml:"logs"`
	Outside    Outside `yaml:"outside"`
	Quota      Quota   `yaml:"quota"`
	// HistoryDays is how long the read model keeps events and ended sagas; 0: for
	// ever. Orders stay.
	HistoryDays int `yaml:"history_days"`
}

// Server is one that a URL says everything about.
type Server struct {
	URL Secret `yaml:"url"`
}

// Kafka is the log.
type Kafka struct {
	Brokers     []string `yaml:"brokers"` // host:port, to begin with; empty: embedded
	Replication int16    `yaml:"replication"`
	MinInSync   int      `yaml:"min_insync_replicas"` // of event topics
	Rack        string   `yaml:"rack"`                // read from followers of the same rack
	// Protocol of the consumer groups: classic, or consumer (KIP-848).
	Protocol string `yaml:"protocol"`
	TLS      TLS    `yaml:"tls"`
	SASL     SASL   `yaml:"sasl"`
}

// TLS says how a connection is encrypted. Files are PEM.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`
	CA         string `yaml:"ca"`          // file; empty: the system's
	Cert       string `yaml:"cert"`        // file, of a client certificate
	Key        string `yaml:"key"`         // file
	ServerName string `yaml:"server_name"` // to verify, if it is not the address's
}

// SASL is how a client proves who it is.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN; empty: none
	User      string `yaml:"user"`
	Password  Secret `yaml:"password"`
}

// SQL is PostgreSQL.
type SQL struct {
	URL      Secret `yaml:"url"`
	MaxConns int32  `yaml:"max_conns"` // per service
}

// Mongo is MongoDB.
type Mongo struct {
	URL      Secret `yaml:"url"`
	Database string `yaml:"database"`
}

// Consul is the service registry.
type Consul struct {
	URL   Secret `yaml:"url"`
	Token Secret `yaml:"token"`
	// Advertise is the host that other units reach this one at; empty: HTTP's.
	Advertise string `yaml:"advertise"`
}

// OTLP is where spans go, beside the traces that the live page keeps.
type OTLP struct {
	Endpoint       string `yaml:"endpoint"` // host:port; empty: nowhere
	Protocol       string `yaml:"protocol"` // grpc or http
	TLS            bool   `yaml:"tls"`
	SpansPerSecond int    `yaml:"spans_per_second"` // budget; what fails is always traced
}

// Logs say how this process logs.
type Logs struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text, or ecs: JSON as Elasticsearch wants it
	// File to append to; empty: standard output for ecs, else standard error.
	File string `yaml:"file"`
}

// Outside are the servers that effects call; empty ones are simulated here.
type Outside struct {
	Provider Secret `yaml:"provider"` // URL
	Carrier  Secret `yaml:"carrier"`  // URL
	Mailbox  string `yaml:"mailbox"`  // host:port of SMTP
}

// Quota bounds what one client may ask.
type Quota struct {
	PerSecond float64 `yaml:"per_second"` // requests; 0: no bound
	Burst     int     `yaml:"burst"`
}

// Secret is never printed.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret; of a URL, only its password.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" {
		return "***"
	}
	u.RawQuery, u.Fragment = "", "" // may hold another
	return u.Redacted()
}

// MarshalText hides the secret in YAML, JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Default is the configuration that nothing changed.
func Default() Config {
	return Config{HTTP: "127.0.0.1:8080", Data: "data", Partitions: 4,
		Kafka: Kafka{Replication: 1, MinInSync: 1, Protocol: "classic"}, Postgres: SQL{MaxConns: 8}, Mongo: Mongo{Database: "weir"},
		OTLP: OTLP{Protocol: "grpc", SpansPerSecond: 500}, Logs: Logs{Level: "info", Format: "text"}}
}

// DefaultFile is read if no other is named and it is there.
const DefaultFile = "weir.yaml"

// Load reads a file, and then what the environment says otherwise (see
// Variables). An empty path means DefaultFile, which may be missing.
func Load(path string) (Config, error) {
	c := Default()
	b, err := os.ReadFile(pathOr(path))
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == "":
	case err != nil:
		return c, fmt.Errorf("configuration: %w", err)
	default:
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("configuration %s: %w", pathOr(path), err)
		}
	}
	if err := c.fromEnvironment(os.LookupEnv); err != nil {
		return c, err
	}
	return c, c.check()
}

func pathOr(path string) string {
	if path == "" {
		return DefaultFile
	}
	return path
}

// check finds what cannot be right, all of it at once.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("configuration: "+format, args...))
	}
	if c.Partitions < 1 || c.Partitions > 4096 {
		bad("partitions is %d: choose 1 to 4096, for good", c.Partitions)
	}
	oneOf := func(what, got string, allowed ...string) {
		for _, a := range allowed {
			if got == a {
				return
			}
		}
		bad("%s is %q: choose one of %q", what, got, allowed)
	}
	oneOf("kafka.protocol", c.Kafka.Protocol, "classic", "consumer")
	oneOf("kafka.sasl.mechanism", c.Kafka.SASL.Mechanism, "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	oneOf("otlp.protocol", c.OTLP.Protocol, "grpc", "http")
	oneOf("logs.format", c.Logs.Format, "text", "ecs")
	oneOf("logs.level", c.Logs.Level, "debug", "info", "warn", "error")
	if (c.Kafka.TLS.Cert == "") != (c.Kafka.TLS.Key == "") {
		bad("kafka.tls.cert and kafka.tls.key go together")
	}
	if c.HistoryDays < 0 {
		bad("history_days is %d: choose 1 and up, or 0 for ever", c.HistoryDays)
	}
	if c.Quota.PerSecond < 0 || c.Quota.Burst < 0 {
		bad("quota cannot be negative")
	}
	if int(c.Kafka.Replication) < c.Kafka.MinInSync {
		bad("kafka.min_insync_replicas (%d) is above kafka.replication (%d): nothing could be written", c.Kafka.MinInSync, c.Kafka.Replication)
	}
	return errors.Join(errs...)
}

// Client are the options of every Kafka client.
func (k *Kafka) Client() ([]kgo.Opt, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(k.Brokers...), kgo.DisableClientMetrics(), kgo.DialTimeout(5 * time.Second)}
	if k.Rack != "" {
		opts = append(opts, kgo.Rack(k.Rack))
	}
	if k.TLS.Enabled {
		t, err := k.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	if m := k.SASL.mechanism(); m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

func (s *SASL) mechanism() sasl.Mechanism {
	auth := scram.Auth{User: s.User, Pass: s.Password.Reveal()}
	switch s.Mechanism {
	case "SCRAM-SHA-512":
		return auth.AsSha512Mechanism()
	case "SCRAM-SHA-256":
		return auth.AsSha256Mechanism()
	case "PLAIN":
		return plain.Auth{User: s.User, Pass: s.Password.Reveal()}.AsMechanism()
	}
	return nil
}

func (t *TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("kafka.tls.ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka.tls.ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("kafka.tls.cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
