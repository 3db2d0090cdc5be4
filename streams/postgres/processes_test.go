//go:build real

package postgres

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// Programs that start at once make one schema, with one incarnation.
func TestManyMigrateAtOnce(t *testing.T) {
	streamtest.Real(t, "postgres")
	if service := os.Getenv("WEIR_POSTGRES_MIGRATE"); service != "" {
		s := open(t, service)
		info, err := s.Info(ctx, 4)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("incarnation", info.Incarnation)
		return
	}
	service := fresh(t)
	var wg sync.WaitGroup
	var said [4]string
	for n := range said {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestManyMigrateAtOnce$")
			cmd.Env = append(os.Environ(), "WEIR_POSTGRES_MIGRATE="+service)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			said[n], _, _ = strings.Cut(string(out), "\n")
		})
	}
	wg.Wait()
	for _, s := range said {
		if s != said[0] || !strings.HasPrefix(s, "incarnation ") {
			t.Errorf("programs say %q, want the same incarnation", said)
		}
	}
}

// A process is killed while it commits, several times over: what is there then is
// whole batches, and a process that is alive may go on at once.
func TestKilledWhileItCommits(t *testing.T) {
	if service := os.Getenv("WEIR_POSTGRES_KILL"); service != "" {
		commitForEver(t, service)
	}
	service := fresh(t)
	s := open(t, service)
	for range 5 {
		before, err := s.Cursor(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		killAfter(t, service, s, before.LastSeq)
		checkWhole(t, s, batchSize)
	}
}

func killAfter(t *testing.T, service string, s *Store, seq int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileItCommits$")
	cmd.Env = append(os.Environ(), "WEIR_POSTGRES_KILL="+service)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c, err := s.Cursor(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if c.LastSeq > seq+3*batchSize {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the other process commits nothing")
		}
	}
}

// commitForEver ends with its process, or when another owner claims the lane.
func commitForEver(t *testing.T, service string) {
	s := open(t, service)
	c := claim(t, s, 0)
	g := generator{n: int(c.LastSeq)}
	for {
		if err := s.Commit(ctx, 0, g.next(c)); err != nil {
			t.Fatal(err)
		}
		c.Rev++
	}
}
