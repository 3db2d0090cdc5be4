package streamtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

// Simulation is a business that lives through bad days: the shipped runtime on
// the real broker protocol, the real client and the real store, in virtual time,
// while instances die, freeze and come back, brokers and stores fail, and events
// come twice or broken. It needs the build tag synctests, without which the
// Kafka client's locks hold virtual time up.
type Simulation struct {
	Topology   *streams.Topology
	Partitions int32         // default 2
	Instances  int           // of each service, at most; default 3
	Lasts      time.Duration // the span in which trouble begins; default 1 min
	Patience   time.Duration // after the last trouble or due timer all must be settled within it; default 5 min
	// Longest is how far ahead a timer may be set; default 12 h, beyond which a run does not
	// wait for one.
	Longest time.Duration
	// Open prepares what the services reach outside, before they start:
	// w.Transports, servers on w.Listen. It returns what closes that again.
	Open func(w *World) (closeAll func())
	// Work is what customers do while all that goes wrong.
	Work func(w *World)
	// Check judges the end of the run. Its default is verify.Check, to which
	// your own invariants may be added: fold what in.Event is given.
	Check func(ctx context.Context, w *World, in verify.Input) (*verify.Report, error)
	// Outside is trouble of the simulation's own, with the outer world.
	Outside []Trouble
}

// Trouble is something that can be switched on and off.
type Trouble struct {
	Name   string
	Switch func(w *World, on bool)
}

// defaults writes nothing the second time: runs share the simulation.
func (s *Simulation) defaults() {
	if s.Partitions == 0 {
		s.Partitions = 2
	}
	if s.Instances == 0 {
		s.Instances = 3
	}
	if s.Lasts == 0 {
		s.Lasts = time.Minute
	}
	if s.Longest < longestWait {
		s.Longest = longestWait
	}
	if s.Patience == 0 {
		s.Patience = 5 * time.Minute
	}
	if s.Check == nil {
		s.Check = func(ctx context.Context, _ *World, in verify.Input) (*verify.Report, error) {
			return verify.Check(ctx, in)
		}
	}
}

// Outcome is how one run ended.
type Outcome struct {
	Schedule   Schedule
	Violations []string
	Report     *verify.Report // nil if the run did not come so far
	Virtual    time.Duration  // how long the run took in its own time
	Real       time.Duration
	diary      *Diary
	timeline   string
}

// OK tells whether nothing was violated.
func (o *Outcome) OK() bool { return len(o.Violations) == 0 }

// Diary is what the instances logged and what went wrong, in order.
func (o *Outcome) Diary() string { return o.diary.String() }

// Timeline is the story of the key that the first violation speaks of: through
// the log, the stores and the inputs. It is empty if nothing was violated.
func (o *Outcome) Timeline() string { return o.timeline }

// patience in real time: a run that takes so long is stuck, as a loop that
// never sleeps keeps virtual time from moving.
const stuckAfter = 3 * time.Minute

// Run lives through one schedule, in a bubble of virtual time. t must not be in
// one.
func (s *Simulation) Run(t *testing.T, sch Schedule) (o *Outcome) {
	if !tagged {
		t.Fatal("virtual time needs the build tag synctests, or the Kafka client's locks hold it up: go test -tags synctests")
	}
	s.defaults()
	o = &Outcome{Schedule: sch, diary: &Diary{}}
	began := time.Now()
	stuck := time.AfterFunc(stuckAfter, func() {
		all := make([]byte, 4<<20)
		fmt.Fprintf(os.Stderr, "stuck: virtual time stands still in\n%s\n%s\n", sch, all[:runtime.Stack(all, true)])
		os.Exit(2)
	})
	defer func() {
		stuck.Stop()
		if p := recover(); p != nil {
			o.Violations = append(o.Violations, fmt.Sprintf("something is left running: %v", p))
			o.timeline += leftRunning()
		}
		o.Real = time.Since(began)
	}()
	synctest.Test(t, func(t *testing.T) { s.live(t, o) })
	return o
}

// leftRunning shows the goroutines of bubbles, of which some are the culprits;
// other runs' are among them.
func leftRunning() string {
	all := make([]byte, 8<<20)
	var b strings.Builder
	for _, g := range strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if head, _, _ := strings.Cut(g, "\n"); strings.Contains(head, "synctest bubble") {
			b.WriteString("\n" + g + "\n")
		}
	}
	return b.String()
}

// live is a run from its beginning to its end.
func (s *Simulation) live(t *testing.T, o *Outcome) {
	w := newWorld(t, s, o.Schedule, o.diary)
	began := time.Now()
	closeAll := func() {}
	if s.Open != nil {
		closeAll = s.Open(w)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.Broker.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat}, Observe: true, Count: -1, TopLevel: true,
		When: func(q kmsg.Request) bool { w.observe(q); return true }})
	w.wg.Go(func() { w.reap(ctx) })
	for _, svc := range s.Topology.Services {
		for range max(1, o.Schedule.Instances[svc.Name]) {
			w.startOne(svc.Name)
		}
	}
	w.awaitLanes()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		if s.Work != nil {
			s.Work(w)
		}
	}()
	w.trouble()
	w.heal()
	<-worked
	w.settle(false) // a parked key holds back nobody else
	w.unpark()
	w.settle(true)
	stop()
	w.stopServices()
	s.judge(w, o)
	closeAll()
	w.close()
	o.Virtual = time.Since(began)
	o.Violations = append(o.Violations, w.broken...)
	if !o.OK() {
		o.timeline = w.timeline(strings.Join(o.Violations, "\n"))
	}
	w.closeLooks()
	w.Cluster.Close()
}

// awaitLanes waits until every lane is at work for the first time, so that
// trouble finds something to disturb.
func (w *World) awaitLanes() {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		running := 0
		for _, l := range w.Lanes() {
			if l.State == streams.LaneRunning {
				running++
			}
		}
		if running >= len(w.Topology.Services)*int(w.Partitions) {
			return
		}
	}
	w.Violate("the lanes were not at work within a minute, before anything went wrong")
}

// judge compares everything at the end of a run.
func (s *Simulation) judge(w *World, o *Outcome) {
	in := verify.Input{Topology: s.Topology, Partitions: s.Partitions, Stores: map[string]streams.Store{}, Client: w.Client(), Complete: true, Settled: true, Rest: time.Now().Add(longestWait - time.Hour), Decide: true, Skew: w.schedule.Skew, ReplyTTL: 24 * time.Hour}
	for _, svc := range s.Topology.Services {
		in.Stores[svc.Name] = w.look(svc.Name)
	}
	r, err := s.Check(context.Background(), w, in)
	if err != nil {
		w.Violate("the run could not be checked: %v", err)
		return
	}
	o.Report = r
	for _, i := range r.Invariants {
		for _, v := range i.Shown {
			o.Violations = append(o.Violations, i.Name+": "+v)
		}
	}
}
