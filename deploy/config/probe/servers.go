package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	mongooptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/deploy/config"
	analytics "github.com/weirstream/weir/processors/analytics/clickhouse"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/postgres"
	"github.com/weirstream/weir/streams/rabbitmq"
)

func kafka(c *config.Config, t *streams.Topology) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		opts, err := c.Kafka.Client()
		if err != nil {
			return err
		}
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			return err
		}
		defer cl.Close()
		adm := kadm.NewClient(cl)
		versions, err := adm.ApiVersions(ctx)
		if err != nil {
			return err
		}
		for _, v := range versions {
			r.Version = v.VersionGuess() // from what the broker understands
			break
		}
		return topics(ctx, adm, c, t, r)
	}
}

func topics(ctx context.Context, adm *kadm.Client, c *config.Config, t *streams.Topology, r *Row) error {
	specs := t.TopicSpecs(streams.Config{Partitions: c.Partitions, Replication: c.Kafka.Replication, MinInSync: c.Kafka.MinInSync})
	have, err := adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	for _, s := range specs {
		if d, ok := have[s.Name]; !ok || d.Err != nil {
			r.Missing = append(r.Missing, "topic "+s.Name)
		} else if len(d.Partitions) != int(s.Partitions) {
			r.Problems = append(r.Problems, fmt.Sprintf("topic %s has %d partitions, the configuration says %d: set partitions back", s.Name, len(d.Partitions), s.Partitions))
		}
	}
	brokers, err := adm.ListBrokers(ctx)
	if err == nil && len(brokers) < int(c.Kafka.Replication) {
		r.Problems = append(r.Problems, fmt.Sprintf("there are %d brokers, fewer than kafka.replication, %d", len(brokers), c.Kafka.Replication))
	}
	return err
}

func postgresServer(c *config.Config, t *streams.Topology) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		cfg, err := pgx.ParseConfig(c.Postgres.URL.Reveal())
		if err != nil {
			return errors.New("postgres.url is not of the form postgres://user:password@host:port/database") // without it: it holds a password
		}
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		var most int32
		if err := conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('max_connections')::int-current_setting('superuser_reserved_connections')::int").Scan(&r.Version, &most); err != nil {
			return err
		}
		if c.Postgres.MaxConns > most {
			r.Problems = append(r.Problems, fmt.Sprintf("postgres.max_conns is %d for this process alone, the server allows %d to all: lower it", c.Postgres.MaxConns, most))
		}
		return schemas(ctx, conn, t, r)
	}
}

func schemas(ctx context.Context, conn *pgx.Conn, t *streams.Topology, r *Row) error {
	var names []string
	for _, s := range t.Services {
		name, err := postgres.SchemaName(s.Name)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	rows, err := conn.Query(ctx, "SELECT 'schema ' || name FROM unnest($1::text[]) AS name WHERE to_regnamespace(quote_ident(name)) IS NULL", names)
	if err != nil {
		return err
	}
	r.Missing, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return err
}

func rabbitmqServer(c *config.Config, t *streams.Topology) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		if _, err := amqp.ParseURI(c.RabbitMQ.URL.Reveal()); err != nil {
			return errors.New("rabbitmq.url is not of the form amqp://user:password@host:port/vhost") // without it: it holds a password
		}
		conn, err := amqp.DialConfig(c.RabbitMQ.URL.Reveal(), amqp.Config{Dial: amqp.DefaultDial(patience)})
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				return op // without the address and its password
			}
			return err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { _ = conn.CloseDeadline(time.Now()) })() // calls on it know no context
		r.Version, _ = conn.Properties["version"].(string)
		return queues(conn, c, t, r)
	}
}

func queues(conn *amqp.Connection, c *config.Config, t *streams.Topology, r *Row) error {
	var names []string
	for _, s := range t.Services {
		for lane := range c.Partitions {
			names = append(names, rabbitmq.QueueName(rabbitmq.DefaultPrefix, s.Name, lane))
		}
	}
	names = append(names, rabbitmq.DeadName(rabbitmq.DefaultPrefix))
	var ch *amqp.Channel
	enough := time.Now().Add(patience / 2)
	for i, name := range names {
		if time.Now().After(enough) {
			r.Missing = append(r.Missing, fmt.Sprintf("perhaps some of %d queues more, which it takes too long to ask for", len(names)-i))
			return nil
		}
		var err error
		if ch == nil {
			if ch, err = conn.Channel(); err != nil {
				return err
			}
		}
		_, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
		var refused *amqp.Error
		switch {
		case errors.As(err, &refused) && refused.Code == amqp.NotFound:
			r.Missing = append(r.Missing, "queue "+name)
			ch = nil // the broker closed it
		case err != nil:
			return fmt.Errorf("looking at queue %s: %w", name, err)
		}
	}
	return nil
}

func mongodb(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		cl, err := mongo.Connect(mongooptions.Client().ApplyURI(c.Mongo.URL.Reveal()).SetServerSelectionTimeout(patience / 2)) // within it, so that the reason is told
		if err != nil {
			return errors.New("mongo.url is not of the form mongodb://user:password@host:port/") // without it: it holds a password
		}
		defer cl.Disconnect(ctx)
		var info struct {
			Version  string
			FerretDB string `bson:"ferretdbVersion"`
		}
		if err := cl.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
			return err
		}
		if r.Version = info.Version; info.FerretDB != "" {
			r.Version += " (FerretDB)"
		}
		names, err := cl.ListDatabaseNames(ctx, bson.D{})
		if err == nil && !slices.Contains(names, c.Mongo.Database) {
			r.Missing = append(r.Missing, "database "+c.Mongo.Database)
		}
		return err
	}
}

func redisServer(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		o, err := redis.ParseURL(c.Redis.URL.Reveal())
		if err != nil {
			return errors.New("redis.url is not of the form redis://host:port/database") // without it: it may hold a password
		}
		o.DialerRetries, o.MaxRetries = 1, -1 // it would log each
		cl := redis.NewClient(o)
		defer cl.Close()
		info, err := cl.Info(ctx, "server").Result()
		if err != nil {
			return err
		}
		_, after, _ := strings.Cut(info, "redis_version:")
		r.Version, _, _ = strings.Cut(after, "\r\n")
		return nil
	}
}

func consul(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		var self struct{ Config struct{ Version string } }
		err := get(ctx, c.Consul.URL.Reveal(), "/v1/agent/self", http.Header{"X-Consul-Token": {c.Consul.Token.Reveal()}}, &self)
		r.Version = self.Config.Version
		return err
	}
}

func clickhouse(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		o, err := analytics.Options(c.ClickHouse.URL.Reveal())
		if err != nil {
			return err
		}
		o.Auth.Database = "" // the writer makes it
		conn, err := driver.Open(o)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.QueryRow(ctx, "SELECT version()").Scan(&r.Version)
	}
}

func prometheus(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		var build struct{ Data struct{ Version string } }
		err := get(ctx, c.Prometheus.URL.Reveal(), "/api/v1/status/buildinfo", nil, &build)
		r.Version = build.Data.Version
		return err
	}
}

// answersJSON is a server that has JSON at a path.
func answersJSON(address config.Secret, path string) func(context.Context, *Row) error {
	return func(ctx context.Context, _ *Row) error {
		var any json.RawMessage
		return get(ctx, address.Reveal(), path, nil, &any)
	}
}

// get reads a JSON answer of a server. User and password of its URL become
// basic authentication.
func get(ctx context.Context, base, path string, header http.Header, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+path, nil)
	if err != nil {
		return errors.New("its url is none") // without it: it may hold a password
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return unwrapURL(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return json.Unmarshal(b, into)
}

// unwrapURL takes the URL, which may hold a password, out of an error.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// otlp only sees whether somebody listens: the protocol has no greeting.
func otlp(c *config.Config) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.OTLP.Endpoint)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// httpServer is there if it answers anything.
func httpServer(address string) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return errors.New("its url is none") // without it: it may hold a password
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return unwrapURL(err)
		}
		return res.Body.Close()
	}
}

func smtp(address string) func(context.Context, *Row) error {
	return func(ctx context.Context, r *Row) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if at, ok := ctx.Deadline(); ok {
			if err := conn.SetDeadline(at); err != nil {
				return err
			}
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err == nil && !strings.HasPrefix(line, "220") {
			err = fmt.Errorf("it greets with %q, which is not SMTP", strings.TrimSpace(line))
		}
		return err
	}
}
