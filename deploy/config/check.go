package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams/business"
)

// faults gathers what cannot be right, by key.
type faults []error

func (f *faults) bad(key, format string, args ...any) {
	*f = append(*f, fmt.Errorf("configuration: %s "+format, append([]any{key}, args...)...))
}

func (f *faults) oneOf(key, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		f.bad(key, "is %q: choose one of %q", got, allowed)
	}
}

func (f *faults) between(key string, got, least, most float64) {
	if math.IsNaN(got) || got < least || got > most {
		f.bad(key, "is %v: choose %v to %v", got, least, most)
	}
}

// takes is for values that may be empty.
func (f *faults) takes(key, got string, check func(string) error) {
	if got == "" {
		return
	}
	if err := check(got); err != nil {
		f.bad(key, "cannot be used: %w", err) // without the value: it may be a secret
	}
}

// check finds what cannot be right, all of it at once.
func (c *Config) check() error {
	var f faults
	if err := Address(c.HTTP); err != nil {
		f.bad("http", "is %q: %w", withoutUser(c.HTTP), err)
	}
	for _, name := range c.HTTPHosts {
		if name == "" || strings.ContainsAny(name, ":/@* ") {
			f.bad("http_hosts", "holds %q: it is a host without a port", withoutUser(name))
		}
	}
	if c.Data == "" {
		f.bad("data", "is empty: name a directory")
	}
	if strings.ContainsAny(c.Consul.Advertise, ":/@ ") && !strings.Contains(c.Consul.Advertise, "::") {
		f.bad("consul.advertise", "is %q: it is a host without a port", c.Consul.Advertise)
	}
	if c.Partitions < 1 || c.Partitions > 4096 {
		f.bad("partitions", "is %d: choose 1 to 4096, for good", c.Partitions)
	}
	f.oneOf("otlp.protocol", c.OTLP.Protocol, "grpc", "http")
	f.oneOf("logs.format", c.Logs.Format, "text", "ecs")
	f.oneOf("logs.level", c.Logs.Level, "debug", "info", "warn", "error")
	f.between("postgres.max_conns", float64(c.Postgres.MaxConns), 1, 10_000)
	f.between("otlp.spans_per_second", float64(c.OTLP.SpansPerSecond), 0, 1e6)
	f.between("history_days", float64(c.HistoryDays), 0, 36_500)
	f.between("quota.per_second", c.Quota.PerSecond, 0, 1e9)
	f.between("quota.burst", float64(c.Quota.Burst), 0, 1e9)
	c.checkKafka(&f)
	c.checkServers(&f)
	return errors.Join(f...)
}

func (c *Config) checkKafka(f *faults) {
	k := &c.Kafka
	for _, b := range k.Brokers {
		if err := Elsewhere(b); err != nil {
			f.bad("kafka.brokers", "holds %q: %w", withoutUser(b), err)
		}
	}
	f.oneOf("kafka.protocol", k.Protocol, "classic", "consumer")
	f.oneOf("kafka.sasl.mechanism", k.SASL.Mechanism, "", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	if (k.SASL.Mechanism == "") != (k.SASL.User == "") {
		f.bad("kafka.sasl.mechanism", "and kafka.sasl.user go together")
	}
	if (k.TLS.Cert == "") != (k.TLS.Key == "") {
		f.bad("kafka.tls.cert", "and kafka.tls.key go together")
	}
	f.between("kafka.replication", float64(k.Replication), 1, 1000)
	f.between("kafka.min_insync_replicas", float64(k.MinInSync), 1, 1000)
	if int(k.Replication) < k.MinInSync {
		f.bad("kafka.min_insync_replicas", "(%d) is above kafka.replication (%d): nothing could be written", k.MinInSync, k.Replication)
	}
}

// withoutUser is an address without what a URL has before its host.
func withoutUser(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return masked + address[i:]
	}
	return address
}

// checkServers looks at the addresses of servers.
func (c *Config) checkServers(f *faults) {
	of := func(allowed ...string) func(string) error {
		return func(s string) error { return schemes(s, allowed...) }
	}
	f.takes("postgres.url", c.Postgres.URL.Reveal(), func(s string) error {
		if !strings.Contains(s, "://") && strings.Contains(s, "=") { // host=… dbname=…, which libpq takes too
			return nil
		}
		return schemes(s, "postgres", "postgresql")
	})
	f.takes("rabbitmq.url", c.RabbitMQ.URL.Reveal(), of("amqp", "amqps"))
	f.takes("mongo.url", c.Mongo.URL.Reveal(), func(s string) error {
		if rest, ok := strings.CutPrefix(s, "mongodb://"); ok && strings.Contains(rest, ",") { // several hosts
			return nil
		}
		return schemes(s, "mongodb", "mongodb+srv")
	})
	f.takes("clickhouse.url", c.ClickHouse.URL.Reveal(), of("clickhouse", "http", "https"))
	f.takes("redis.url", c.Redis.URL.Reveal(), of("redis", "rediss"))
	for key, s := range map[string]Secret{"consul.url": c.Consul.URL, "prometheus.url": c.Prometheus.URL, "jaeger.url": c.Jaeger.URL,
		"alertmanager.url": c.Alertmanager.URL} {
		f.takes(key, s.Reveal(), Web)
	}
	for name, at := range c.Outside { // CheckOutside knows which of the two it is
		f.takes("outside."+name, at.Reveal(), func(s string) error {
			if err := Web(s); err != nil && Elsewhere(s) != nil {
				return fmt.Errorf("%w; of SMTP, it is no host:port", err)
			}
			return nil
		})
	}
	f.takes("otlp.endpoint", c.OTLP.Endpoint, Elsewhere)
}

// Secrets are all that may not be printed.
func (c *Config) Secrets() []Secret {
	return slices.Concat([]Secret{c.Postgres.URL, c.RabbitMQ.URL, c.Mongo.URL, c.Redis.URL, c.Consul.URL, c.Consul.Token, c.ClickHouse.URL, c.Prometheus.URL, c.Jaeger.URL, c.Alertmanager.URL,
		c.Kafka.SASL.Password}, slices.Collect(maps.Values(c.Outside)))
}

// CheckOutside reports addresses of endpoints that the business does not have, or that
// are not spoken to so.
func (c *Config) CheckOutside(endpoints []business.Endpoint) error {
	var f faults
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = e.Name
		if e.Protocol == business.SMTP {
			f.takes("outside."+e.Name, c.Outside[e.Name].Reveal(), Elsewhere)
		} else {
			f.takes("outside."+e.Name, c.Outside[e.Name].Reveal(), Web)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Outside)) {
		if !slices.Contains(names, name) {
			f.bad("outside."+name, "is called by no effect: there are %s", strings.Join(names, ", "))
		}
	}
	return errors.Join(f...)
}

// CheckFiles finds files and directories that a run could not write. It leaves
// nothing behind.
func (c *Config) CheckFiles() error {
	var f faults
	if path := c.Logs.File; path != "" {
		_, before := os.Stat(path)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err == nil {
			err = file.Close()
			if errors.Is(before, fs.ErrNotExist) {
				err = errors.Join(err, os.Remove(path))
			}
		}
		if err != nil {
			f.bad("logs.file", "cannot be written: %w", err)
		}
	}
	if err := writable(c.Data); err != nil {
		f.bad("data", "cannot be written: %w", err)
	}
	return errors.Join(f...)
}

// writable tries whether a directory can be written, or made.
func writable(dir string) error {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, missing := os.Stat(dir); !errors.Is(missing, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	if err != nil {
		return err
	}
	try, err := os.CreateTemp(dir, ".weir-check-")
	if err != nil {
		return err
	}
	return errors.Join(try.Close(), os.Remove(try.Name()))
}
