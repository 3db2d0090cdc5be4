//go:build real

package streams_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// onKafka runs a test on the real broker, by either group protocol.
func onKafka(t *testing.T, f func(t *testing.T, c *streamtest.Cluster, protocol func(*streams.Config))) {
	for name, server := range map[string]bool{"classic": false, "consumer": true} {
		t.Run(name, func(t *testing.T) {
			c := streamtest.NewClusterOn(t, fleet(t), 4, streamtest.Real(t, "kafka"))
			f(t, c, func(cfg *streams.Config) { cfg.ServerGroups = server })
		})
	}
}

func TestKafkaInstancesJoinDieAndFreeze(t *testing.T) {
	onKafka(t, func(t *testing.T, c *streamtest.Cluster, p func(*streams.Config)) {
		ctx := t.Context()
		f1, b1 := c.Start("front", p), c.Start("back", p)
		sum := book(ctx, t, c, 0, 50)
		c.Start("front", p)
		b2 := c.Start("back", p)
		sum += book(ctx, t, c, 50, 100)
		f1.Kill()
		b1.Kill()
		died := time.Now()
		sum += book(ctx, t, c, 100, 150)
		if d := time.Since(died); d > 25*time.Second {
			t.Errorf("the dead instances' lanes were taken over after %v", d)
		}
		c.Start("back", p)
		time.Sleep(5 * time.Second)
		b2.Freeze()
		sum += book(ctx, t, c, 150, 200)
		time.Sleep(15 * time.Second)
		b2.Thaw() // a zombie by now
		sum += book(ctx, t, c, 200, 250)
		want(t, c, sum, 250)
	})
}

// The broker is killed and restarted under load: the lanes wait, and go on.
func TestKafkaBrokerRestarts(t *testing.T) {
	onKafka(t, func(t *testing.T, c *streamtest.Cluster, p func(*streams.Config)) {
		c.Start("front", p)
		c.Start("back", p)
		sum := book(t.Context(), t, c, 0, 50)
		for n, commands := range [][]string{{"kill", "up"}, {"restart"}} {
			done := onBroker(t, commands...)
			sum += book(t.Context(), t, c, 50+50*n, 100+50*n)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		sum += book(t.Context(), t, c, 150, 200)
		want(t, c, sum, 200)
	})
}

// onBroker does commands of deploy/local/servers to Kafka, beside the test.
func onBroker(t *testing.T, commands ...string) <-chan error {
	servers, done := streamtest.Real(t, "servers"), make(chan error, 1)
	go func() {
		for _, does := range commands {
			if out, err := exec.CommandContext(t.Context(), servers, does, "kafka").CombinedOutput(); err != nil {
				done <- fmt.Errorf("servers %s kafka: %w\n%s", does, err, out)
				return
			}
		}
		done <- nil
	}()
	return done
}

// A service has its own user, which may do what its declaration says and
// nothing else.
func TestKafkaACLs(t *testing.T) {
	c := streamtest.NewClusterOn(t, fleet(t), 4, streamtest.Real(t, "kafka"))
	address, ctx := streamtest.Real(t, "kafka-sasl"), t.Context()
	acls := c.Topology.ACLs()
	var units []string
	for _, a := range acls {
		if !slices.Contains(units, a.Unit) {
			units = append(units, a.Unit)
		}
	}
	admin(t, c, func(adm *kadm.Client) {
		var users []kadm.UpsertSCRAM
		for _, u := range units {
			users = append(users, kadm.UpsertSCRAM{User: u, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "secret-" + u})
		}
		rs, err := adm.AlterUserSCRAMs(ctx, nil, users)
		if err := errors.Join(err, rs.Error()); err != nil {
			t.Fatal(err)
		}
	})
	if err := streams.ApplyACLs(ctx, c.Client(), acls); err != nil {
		t.Fatal(err)
	}
	as := func(unit string) []kgo.Opt {
		return []kgo.Opt{kgo.SeedBrokers(address), kgo.DialTLSConfig(trust(t)), kgo.SASL(scram.Auth{User: unit, Pass: "secret-" + unit}.AsSha512Mechanism())}
	}
	user := func(cfg *streams.Config) { cfg.ServerGroups, cfg.Client = true, as("front") }
	missing := streams.Config{Topology: c.Topology, Partitions: 4, Client: as("front")}
	if err := streams.MakeTopics(ctx, missing); err == nil || !strings.Contains(err.Error(), "weir kafka apply") {
		t.Errorf("a unit that may make no topics: %v", err)
	}
	if err := streams.MakeAllTopics(ctx, streams.Config{Topology: c.Topology, Partitions: 4, Client: c.Client()}); err != nil {
		t.Fatal(err)
	}
	nodes := []*streamtest.Node{c.Start("front", user), c.Start("back", func(cfg *streams.Config) { cfg.Client = as("back") })}
	for _, n := range nodes {
		go func() {
			if <-n.Done(); t.Context().Err() == nil {
				t.Errorf("an instance of %s has ended: %v", n.Service, n.Stop())
			}
		}()
	}
	sum := book(ctx, t, c, 0, 40)
	want(t, c, sum, 40)
	w, err := streams.NewWatcher(streams.Config{Topology: c.Topology, Partitions: 4, Client: as(streams.ProjectionUnit)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if behind, err := w.Look(ctx); err != nil || len(behind) == 0 {
		t.Errorf("the projection sees how far services are behind: %v, %v", behind, err)
	}
	for unit, topic := range map[string]string{"front": "follower.account", "back": "teller.account", streams.IngestUnit: "teller.account", streams.ProjectionUnit: "teller.account"} {
		cl, err := kgo.NewClient(as(unit)...)
		if err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		err = cl.ProduceSync(limited, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("forged")}).FirstErr()
		// Who may write nowhere is not even given a producer's id.
		if cancel(); !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
			t.Errorf("%s writes to %s: got error %v, want a refusal", unit, topic, err)
		}
		cl.Close()
	}
}

func admin(t *testing.T, c *streamtest.Cluster, f func(*kadm.Client)) {
	t.Helper()
	cl, err := kgo.NewClient(c.Client()...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	f(kadm.NewClient(cl))
}

// trust is a TLS configuration that knows the test broker's authority.
func trust(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(streamtest.Real(t, "kafka-ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate of the authority")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
