package analyticstest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/rebuild"
	"github.com/weirstream/weir/processors/backfill"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// Opener opens a store in a place that a text names, also from another process.
type Opener func(s *analytics.Schema, where string) (analytics.Swappable, error)

// childVariable tells a test's program to be a child that is killed: what it does, where,
// the log's address, and a file.
const childVariable = "WEIR_ANALYTICS_CHILD"

// Child does what a child is told, and ends the process. It is for TestMain; in another
// process than a child's it does nothing.
func Child(open Opener) {
	told := strings.Split(os.Getenv(childVariable), "|")
	if len(told) != 4 {
		return
	}
	if err := child(open, told[0], told[1], told[2], told[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(open Opener, what, where, broker, path string) error {
	b := ferry()
	top, err := b.Topology()
	if err != nil {
		return err
	}
	schema, err := analytics.NewSchema(b, top)
	if err != nil {
		return err
	}
	s, err := open(schema, where)
	if err != nil {
		return err
	}
	defer s.Close()
	if what == "log" {
		cfg := projection.Config{Client: []kgo.Opt{kgo.SeedBrokers(broker)}, Business: b, Topology: top, Partitions: projectiontest.Partitions, Batch: 20, Spacing: time.Millisecond}
		_, err = (&rebuild.Rebuild{Live: s, Schema: schema, Config: cfg}).Run(ctx)
		return err
	}
	m, err := backfill.ParseMapping([]byte(crossingsMapping))
	if err != nil {
		return err
	}
	f, err := backfill.Open(path, m, b, top)
	if err == nil {
		_, err = (&rebuild.Load{Live: s, Schema: schema, File: f, Name: "crossings.csv", Mapping: []byte(crossingsMapping), Batch: 10}).Run(ctx)
	}
	return err
}

// KillsAnew takes a file in and writes the tables anew in children that are killed, until so
// many were; nothing is lost, or there twice, and what answers is never less.
func KillsAnew(t *testing.T, open Opener, where string, kills int) {
	p := &place{T: t}
	p.Open = func(s *analytics.Schema) (analytics.Store, error) { return open(s, where) }
	p.Hours = counted
	l, s := projectiontest.NewLogOf(t, ferry()), p.swappable()
	recs := sail(l, 40)
	l.Produce(recs...)
	p.catchUp(l, s)
	_, log := p.loaded(s)
	path, longest := crossingsFile(t, 50), map[string]time.Duration{}
	run := func(what string, most time.Duration) (killed bool) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{what, where, l.Brokers()[0], path}, "|"))
		var said strings.Builder
		cmd.Stderr = &said
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if most > 0 {
			time.AfterFunc(most, func() { _ = cmd.Process.Kill() }) // it may have ended
		}
		err := cmd.Wait()
		var exit *exec.ExitError
		if killed = errors.As(err, &exit) && exit.ExitCode() < 0; err != nil && !killed {
			t.Fatalf("%s: %v: %s", what, err, said.String())
		}
		if !killed {
			longest[what] = max(longest[what], time.Since(began))
		}
		return killed
	}
	run("file", 0) // how long it takes
	p.takeOut(s)
	run("log", 0)
	ends := 0
	for done := 0; done < kills; {
		what := []string{"file", "log"}[ends%2]
		if !run(what, time.Duration(rand.Int64N(int64(longest[what]*5/4)))) {
			ends++
			if what == "file" && ends%4 == 1 { // so that there is one to take in
				p.takeOut(s)
			}
			continue
		}
		done++
		if _, now := p.loaded(s); !maps.Equal(now, log) {
			t.Fatalf("after a kill there are %v of the log, and there were %v", now, log)
		}
	}
	run("file", 0)
	run("log", 0)
	files, now := p.loaded(s)
	if !maps.Equal(files, hundred) || !maps.Equal(now, log) {
		t.Errorf("of the file there are %v, of the log %v, want %v and %v", files, now, hundred, log)
	}
	p.proved(l, s)
	t.Logf("%d kills, %d ends between them", kills, ends)
	p.takeOut(s)
	p.whole(s, recs)
	p.goOn(l, s, recs)
}

// counted is HoursTable as the store tells it.
func counted(t testing.TB, s analytics.Store) map[Hour]analytics.Sum {
	t.Helper()
	_, all, err := s.Hours(ctx, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	out := map[Hour]analytics.Sum{}
	for h, sum := range all {
		out[Hour{h.Topic, h.Type, h.Start}] = sum
	}
	return out
}

// takeOut removes all files.
func (p *place) takeOut(s analytics.Store) {
	p.Helper()
	files, err := rebuild.Files(ctx, s)
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range files {
		if _, err := rebuild.Remove(ctx, s, f.Topic); err != nil {
			p.Fatal(err)
		}
	}
}
