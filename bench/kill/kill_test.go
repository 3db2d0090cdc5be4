// Package kill kills the whole platform with SIGKILL, over and over, under load
// and in a bad world, and then audits what is left. The test is the package.
package kill

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

const partitions = 4

// perKill bounds the orders: the platform trims its log beyond 2,000 records per
// partition.
const perKill = 38

var kills = flag.Int("kills", 20, "how often the platform is killed")

func TestKilledPlatformBalances(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	o := newOutside(t, trouble)
	data, kafka := t.TempDir(), freePort(t)
	p := newProcess(t, build(t), nil, "dev", "--data", data, "--kafka", kafka, "--partitions", fmt.Sprint(partitions), "--log-level", "warn",
		"--outside", "provider="+o.providerURL, "--outside", "carrier="+o.carrierURL, "--outside", "mailbox="+o.mailboxAddr)
	l := &load{t: t, bases: []string{p.base()}, pause: 120 * time.Millisecond, most: perKill * *kills, stock: 100 * int64(*kills), refused: map[string]int{}}
	l.twice.Store(8)
	killAll(t, p, l)
	o.mend(t)
	p.start()
	if _, err := p.ready(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	l.finish(t, []kgo.Opt{kgo.SeedBrokers(kafka)})
	p.stop(syscall.SIGINT, 10*time.Second)
	if r := auditData(t, data, o, l); !r.OK() {
		t.Error("the books do not balance")
	}
}

// killAll starts the platform and kills it, under load. Returning, the load has
// been told to end and waits for the answers that it still lacks.
func killAll(t *testing.T, p *process, l *load) {
	l.start(t)
	defer l.stop()
	var slowest time.Duration
	early := 0
	for n := range *kills {
		p.start()
		if rand.N(6) == 0 { // in the middle of its start
			early++
			time.Sleep(rand.N(300 * time.Millisecond))
		} else {
			took, err := p.ready(20 * time.Second)
			if err != nil {
				t.Fatalf("start %d: %v", n+1, err)
			}
			slowest = max(slowest, took)
			time.Sleep(200*time.Millisecond + rand.N(1300*time.Millisecond))
		}
		p.kill()
	}
	t.Logf("killed %d times, %d of them before it was ready; ready after %v at the latest", *kills, early, slowest.Round(time.Millisecond))
	if slowest > 3*time.Second {
		t.Errorf("ready only %v after a kill", slowest)
	}
}

// auditData opens what the platform left behind, and audits it.
func auditData(t *testing.T, data string, o *outside, l *load) *audit.Report {
	t.Helper()
	log, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(filepath.Join(data, "log")))
	check(t, err)
	defer log.Close()
	return l.examine(t, []kgo.Opt{kgo.SeedBrokers(log.ListenAddrs()...)}, o, func(service string) (streams.Store, error) {
		return sqlite.Open(filepath.Join(data, service+".db"))
	})
}
