// Package config is everything that weir can be told about where it runs: a
// weir.yaml, or environment variables, or nothing, and then all is embedded.
package config

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
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
	HTTP string `yaml:"http"` // address of the interface; 127.0.0.1:8080
	// HTTPHosts are the names, beside addresses and localhost, that the interface is
	// asked by: those of a proxy or an ingress in front, as in weir.example.
	HTTPHosts  []string   `yaml:"http_hosts"`
	Data       string     `yaml:"data"`       // directory of what is embedded
	Partitions int32      `yaml:"partitions"` // of every topic of the platform, for good
	Kafka      Kafka      `yaml:"kafka"`
	Postgres   SQL        `yaml:"postgres"`   // event stores
	RabbitMQ   Server     `yaml:"rabbitmq"`   // commands
	Mongo      Mongo      `yaml:"mongo"`      // read models
	Redis      Server     `yaml:"redis"`      // cache, quotas
	Consul     Consul     `yaml:"consul"`     // discovery
	ClickHouse ClickHouse `yaml:"clickhouse"` // analytics
	OTLP       OTLP       `yaml:"otlp"`       // traces
	Jaeger     Server     `yaml:"jaeger"`     // its query interface: the live page shows the traces that it has
	Prometheus Server     `yaml:"prometheus"` // what it knows of objectives and alerts, the live page shows
	// Alertmanager knows which of the alerts are silenced.
	Alertmanager Server `yaml:"alertmanager"`
	Logs         Logs   `yaml:"logs"`
	// Outside are the servers that effects call, by the names of their endpoints: a URL of
	// HTTP, host:port of SMTP. Those that are missing are simulated here.
	Outside map[string]Secret `yaml:"outside"`
	Quota   Quota             `yaml:"quota"`
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
	MaxConns int32  `yaml:"max_conns"` // of this process, for all its services
}

// Mongo is MongoDB.
type Mongo struct {
	URL      Secret `yaml:"url"`
	Database string `yaml:"database"`
}

// ClickHouse is where analytics is kept: in the database of the URL, or in weir.
type ClickHouse struct {
	URL     Secret `yaml:"url"`     // clickhouse://user:password@host:9000/database, or http://host:8123/database
	Cluster string `yaml:"cluster"` // whose servers all have the tables; empty: one server
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

// Quota bounds what one client may ask.
type Quota struct {
	PerSecond float64 `yaml:"per_second"` // requests; 0: no bound
	Burst     int     `yaml:"burst"`
}

// Secret is never printed.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// MarshalText hides the secret in YAML, JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// Default is the configuration that nothing changed.
func Default() Config {
	return Config{HTTP: "127.0.0.1:8080", Data: "data", Partitions: 4,
		Kafka: Kafka{Replication: 1, MinInSync: 1, Protocol: "classic"}, Postgres: SQL{MaxConns: 16}, Mongo: Mongo{Database: "weir"},
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
		if err := c.fromYAML(b); err != nil {
			return c, fmt.Errorf("configuration %s: %w", pathOr(path), err)
		}
	}
	c.outsideFromEnvironment(os.Environ())
	if err := errors.Join(c.fromEnvironment(os.LookupEnv), misspelt(os.Environ())); err != nil {
		return c, err
	}
	Conceal(c.Secrets()...)
	return c, c.check()
}

func (c *Config) fromYAML(text []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return err
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return errors.New("there is a second document behind ---, which nobody would read: one file is one configuration")
	}
	if err := fits(doc.Content[0], reflect.TypeFor[Config](), ""); err != nil {
		return err
	}
	return yaml.Unmarshal(text, c) // which refuses what is there twice
}

// fits refuses what is not of the configuration's form, by the names of its keys and
// without its values, which may be secrets. The decoder alone would cut numbers off.
func fits(n *yaml.Node, t reflect.Type, path string) error {
	wrong := func(want string) error {
		return fmt.Errorf("line %d: %s has to be %s", n.Line, cmp.Or(path, "the file"), want)
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return fits(n.Alias, t, path)
	case n.Tag == "!!null":
		return nil
	case t.Kind() == reflect.Struct:
		if n.Kind != yaml.MappingNode {
			return wrong("a mapping of keys")
		}
		return fitKeys(n, t, path)
	case t.Kind() == reflect.Map:
		if n.Kind != yaml.MappingNode {
			return wrong("a mapping of names")
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := fits(n.Content[i+1], t.Elem(), path+"."+n.Content[i].Value); err != nil {
				return err
			}
		}
		return nil
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return wrong("a list")
		}
		for _, item := range n.Content {
			if err := fits(item, t.Elem(), path); err != nil {
				return err
			}
		}
		return nil
	case n.Kind != yaml.ScalarNode:
		return wrong("one value")
	}
	v := reflect.New(t)
	if isInt(t.Kind()) && n.Tag != "!!int" || n.Decode(v.Interface()) != nil {
		return wrong(kindOf(v.Elem()))
	}
	return nil
}

func isInt(k reflect.Kind) bool { return k == reflect.Int || k == reflect.Int16 || k == reflect.Int32 }

// fitKeys looks at the keys of a mapping.
func fitKeys(n *yaml.Node, t reflect.Type, path string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Tag == "!!merge" {
			continue
		}
		name, known := strings.TrimPrefix(path+"."+key.Value, "."), false
		for f := range t.NumField() {
			if t.Field(f).Tag.Get("yaml") != key.Value {
				continue
			}
			known = true
			if err := fits(n.Content[i+1], t.Field(f).Type, name); err != nil {
				return err
			}
		}
		if !known {
			return fmt.Errorf("line %d: %.60q is no key of the configuration: weir config show prints those there are", key.Line, name)
		}
	}
	return nil
}

func pathOr(path string) string {
	if path == "" {
		return DefaultFile
	}
	return path
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
