package streamtest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Campaign is how many bad days a test lives through, and which.
type Campaign struct {
	Seeds    int           // how many; 0: as many as For allows, or 20
	For      time.Duration // when to begin no more; 0: never
	From     uint64        // the first seed; 0: one that the clock gives, so that every test run has new ones
	Kept     string        // a directory with schedules (*.json) that failed once and are run first
	Workers  int           // runs at a time; default GOMAXPROCS
	Collect  bool          // go on after a failure, and count
	Progress io.Writer     // told twice a minute how far it is, and the end; nil: nobody
}

// Tally sums a campaign up.
type Tally struct {
	Runs, Failed int
	Faults       int           // that went wrong in all
	Virtual      time.Duration // lived through
	Real         time.Duration
}

// String is one line.
func (t Tally) String() string {
	return fmt.Sprintf("%d runs, %d failed; %d faults in %s of virtual time; %s, %.0f runs a minute",
		t.Runs, t.Failed, t.Faults, t.Virtual.Round(time.Minute), t.Real.Round(time.Second), float64(t.Runs)/max(t.Real.Minutes(), 1e-9))
}

// Simulate lives through a campaign. A failure prints its seed, what was
// violated, how often it fails when it is run again, the schedule reduced to
// what matters, and the story of the key that it is about. The environment's
// WEIR_SEED runs that seed alone, WEIR_SCHEDULE a schedule as a failure printed
// it, WEIR_SEEDS another number of seeds, WEIR_FROM others, and
// WEIR_COLLECT goes on after a failure.
func Simulate(t *testing.T, s *Simulation, c Campaign) Tally {
	t.Helper()
	s.defaults()
	r := &campaign{Campaign: c, s: s, t: t, began: time.Now()}
	if err := r.read(os.Getenv); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var telling sync.WaitGroup
	if r.Progress != nil {
		telling.Go(func() { r.tell(stop) })
	}
	var workers sync.WaitGroup
	for range r.Workers {
		workers.Go(r.work)
	}
	workers.Wait()
	close(stop)
	telling.Wait()
	r.tally.Real = time.Since(r.began)
	if r.Progress != nil {
		fmt.Fprintln(r.Progress, r.tally)
	}
	return r.tally
}

type campaign struct {
	Campaign
	s     *Simulation
	t     *testing.T
	began time.Time

	mu    sync.Mutex
	kept  []Schedule
	given int // seeds handed out
	tally Tally
}

func (c *campaign) read(env func(string) string) error {
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Seeds == 0 && c.For == 0 {
		c.Seeds = 20
	}
	if c.From == 0 {
		c.From = uint64(time.Now().Unix()) * 1000
	}
	if n, err := strconv.Atoi(env("WEIR_SEEDS")); err == nil {
		c.Seeds, c.For = n, 0
	}
	if n, err := strconv.ParseUint(env("WEIR_FROM"), 10, 64); err == nil {
		c.From = n
	}
	if n, err := strconv.ParseUint(env("WEIR_SEED"), 10, 64); err == nil {
		c.From, c.Seeds, c.For, c.Kept = n, 1, 0, ""
	}
	c.Collect = c.Collect || env("WEIR_COLLECT") != ""
	if text := env("WEIR_SCHEDULE"); text != "" {
		sch, err := ParseSchedule([]byte(text))
		c.kept, c.Seeds, c.For, c.Kept = []Schedule{sch}, -1, 0, ""
		return err
	}
	return c.readKept()
}

func (c *campaign) readKept() error {
	if c.Kept == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(c.Kept, "*.json"))
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		sch, err := ParseSchedule(b)
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		c.kept = append(c.kept, sch)
	}
	return nil
}

// next hands out a schedule, or tells that there are enough.
func (c *campaign) next() (Schedule, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := c.Seeds < 0 || c.Seeds > 0 && c.given >= c.Seeds || c.For > 0 && time.Since(c.began) > c.For
	switch {
	case c.tally.Failed > 0 && !c.Collect:
		return Schedule{}, false
	case len(c.kept) > 0:
		sch := c.kept[0]
		c.kept = c.kept[1:]
		return sch, true
	case over:
		return Schedule{}, false
	}
	c.given++
	return c.s.Schedule(c.From + uint64(c.given) - 1), true
}

func (c *campaign) work() {
	for {
		sch, ok := c.next()
		if !ok {
			return
		}
		c.t.Run(fmt.Sprintf("seed=%d", sch.Seed), func(t *testing.T) {
			o := c.s.Run(t, sch)
			c.count(o)
			if !o.OK() {
				t.Error(c.explain(t, o))
			}
		})
	}
}

func (c *campaign) count(o *Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.Runs++
	c.tally.Faults += len(o.Schedule.Faults)
	c.tally.Virtual += o.Virtual
	if !o.OK() {
		c.tally.Failed++
	}
}

// again is how often a failed schedule is run once more, to see how often it fails.
const again = 10

// explain makes a failure usable.
func (c *campaign) explain(t *testing.T, o *Outcome) string {
	if c.Collect {
		return o.Explain()
	}
	fails := c.s.Rerun(t, o.Schedule, again)
	sch := c.s.Shrink(t, o.Schedule, fails+1, again+1, func(s string) { t.Log(s) })
	less, err := json.Marshal(sch)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s\nit failed again in %d of %d runs. What seems to matter is\n%s\nrun it again with WEIR_SCHEDULE='%s'\n", o.Explain(), fails, again, sch, less)
}

// Explain is what a failed run has to say, without running it again.
func (o *Outcome) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nviolated:\n", o.Schedule)
	for _, v := range o.Violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	fmt.Fprintf(&b, "\n%s", o.timeline)
	return b.String()
}

func (c *campaign) tell(stop <-chan struct{}) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		c.mu.Lock()
		now := c.tally
		c.mu.Unlock()
		now.Real = time.Since(c.began)
		left := ""
		if c.Seeds > 0 && now.Runs > 0 {
			share := float64(now.Runs) / float64(c.Seeds)
			left = fmt.Sprintf("%s %3.0f %%, %s left: ", bar(share), 100*share, time.Duration(float64(now.Real)*(1-share)/share).Round(time.Second))
		}
		fmt.Fprintf(c.Progress, "%s%s\n", left, now)
	}
}

func bar(share float64) string {
	n := min(20, int(share*20))
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", 20-n) + "]"
}
