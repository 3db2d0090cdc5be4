// Package kill kills the whole platform with SIGKILL, over and over, under load
// and in a bad world, and then audits what is left. The test is the package.
package kill

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/sagas"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
	"github.com/weirstream/weir/streams/verify"
)

const partitions = 4

var kills = flag.Int("kills", 20, "how often the platform is killed")

func TestKilledPlatformBalances(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	o := newOutside(t)
	v := newVictim(t, o)
	l := &load{t: t, base: "http://" + v.http, refused: map[string]int{}}
	killAll(t, v, l)
	o.mend(t)
	v.start()
	if _, err := v.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	finish(t, v, l)
	took, err := v.stop(10 * time.Second)
	if err != nil {
		t.Error(err)
	}
	t.Logf("stopped in %v", took.Round(time.Millisecond))
	if r := auditData(t, v, o, l); !r.OK() {
		t.Error("the books do not balance")
	}
}

// killAll starts the platform and kills it, under load. Returning, the load has
// been told to end and waits for the answers that it still lacks.
func killAll(t *testing.T, v *victim, l *load) {
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.deliver(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(stop, t.Context())
	}()
	t.Cleanup(func() { <-done })
	var slowest time.Duration
	early := 0
	for n := range *kills {
		v.start()
		if rand.N(6) == 0 { // in the middle of its start
			early++
			time.Sleep(rand.N(300 * time.Millisecond))
		} else {
			took, err := v.ready(20 * time.Second)
			if err != nil {
				t.Fatalf("start %d: %v", n+1, err)
			}
			slowest = max(slowest, took)
			time.Sleep(200*time.Millisecond + rand.N(1300*time.Millisecond))
		}
		v.kill()
	}
	t.Logf("killed %d times, %d of them before it was ready; ready after %v at the latest", *kills, early, slowest.Round(time.Millisecond))
	if slowest > 3*time.Second {
		t.Errorf("ready only %v after a kill", slowest)
	}
	l.done = done
}

// finish waits until every request is answered, every acknowledged order is
// over, and nothing more comes onto the log.
func finish(t *testing.T, v *victim, l *load) {
	t.Helper()
	began := time.Now()
	<-l.done
	for _, id := range l.acknowledged {
		for !closed(l.base, id) {
			if time.Since(began) > time.Minute {
				t.Errorf("order %s is not over a minute after the last kill", id)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	quiet(t, []kgo.Opt{kgo.SeedBrokers(v.kafka)})
	t.Logf("all over %v after the last start", time.Since(began).Round(time.Millisecond))
}

func closed(base string, id event.OrderID) bool {
	var o struct {
		Closed bool `json:"closed"`
	}
	status, body := call(http.MethodGet, base+"/v1/orders/"+string(id), "", nil)
	return status == http.StatusOK && json.Unmarshal(body, &o) == nil && o.Closed
}

// quiet waits until the log has not grown for a second.
func quiet(t *testing.T, opts []kgo.Opt) {
	t.Helper()
	cl, err := kgo.NewClient(opts...)
	check(t, err)
	defer cl.Close()
	last, since := int64(-1), time.Now()
	for time.Since(since) < time.Second {
		ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context())
		check(t, err)
		sum := int64(0)
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		if sum != last {
			last, since = sum, time.Now()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// auditData opens what the platform left behind, and audits it.
func auditData(t *testing.T, v *victim, o *outside, l *load) *audit.Report {
	t.Helper()
	top, err := sagas.Topology()
	check(t, err)
	log, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(filepath.Join(v.data, "log")))
	check(t, err)
	defer log.Close()
	in := audit.Input{Acknowledged: l.acknowledged, Input: verify.Input{Topology: top, Partitions: partitions, Stores: map[string]streams.Store{}, Settled: true,
		Client: []kgo.Opt{kgo.SeedBrokers(log.ListenAddrs()...)}}}
	for _, s := range top.Services {
		store, err := sqlite.Open(filepath.Join(v.data, s.Name+".db"))
		check(t, err)
		defer store.Close()
		in.Stores[s.Name] = store
	}
	o.ledgers(t, &in)
	if in.Complete, err = untrimmed(t.Context(), in.Client); err != nil {
		t.Fatal(err)
	}
	if !in.Complete && *kills <= 20 {
		t.Error("the log was trimmed: the load is too large for a full comparison")
	}
	r, err := audit.Check(t.Context(), in)
	check(t, err)
	t.Logf("%d orders acknowledged, %d requests sent again, cancellations: %v, log complete: %v\n%s", len(l.acknowledged), l.repeated, l.refused, in.Complete, r)
	return r
}

func untrimmed(ctx context.Context, opts []kgo.Opt) (bool, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return false, err
	}
	defer cl.Close()
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx)
	if err != nil {
		return false, fmt.Errorf("the start of the log: %w", err)
	}
	whole := true
	starts.Each(func(o kadm.ListedOffset) { whole = whole && o.Offset == 0 })
	return whole, nil
}
