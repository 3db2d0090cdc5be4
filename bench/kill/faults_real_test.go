//go:build real

package kill

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// fault is something that goes wrong while customers shop.
type fault struct {
	name   string
	begin  func(*shared)
	lasts  time.Duration // at least, from its beginning
	end    func(*shared)
	goesOn bool   // orders have to be confirmed while it lasts
	said   string // what some process logs of it, in part
}

func server(does, name string) func(*shared) {
	return func(s *shared) { streamtest.Servers(s.t, does, name) }
}

func nothing(*shared) {}

var faults = []fault{
	{"Kafka is killed", server("kill", "kafka"), 5 * time.Second, server("start", "kafka"), false, ""},
	{"PostgreSQL restarts", server("restart", "postgres"), 0, nothing, false, "event store does not answer"},
	{"RabbitMQ restarts", server("restart", "rabbitmq"), 0, nothing, false, "commands are not sent now"},
	{"Redis is away", server("kill", "redis"), 10 * time.Second, server("start", "redis"), true, "Redis does not answer"},
	{"MongoDB is away", server("kill", "mongo"), 10 * time.Second, server("start", "mongo"), true, "the read model lags"},
	{"Consul is away", server("kill", "consul"), 10 * time.Second, server("start", "consul"), true, "unit not registered now"},
	{"Jaeger is away", server("kill", "jaeger"), 10 * time.Second, server("start", "jaeger"), true, ""},
	{"a process is killed", func(s *shared) { s.drop(0) }, 0, nothing, false, ""},
	{"a process is replaced", replace, 0, nothing, false, ""},
	{"a process is paused", pause, paused, resume, true, "no commands from the queue now"},
	{"everything is asked twice", func(s *shared) { s.load.twice.Store(1) }, 10 * time.Second, nothing, true, ""},
	{"records come again", republish, 0, nothing, true, ""},
}

// paused is beyond every timeout: of the group, of RabbitMQ and of the server's
// locks, and beyond what who is fenced waits.
const paused = 32 * time.Second

// pause stops a process where it stands, and sees the other one take over.
func pause(s *shared) {
	check(s.t, s.processes[0].cmd.Process.Signal(syscall.SIGSTOP))
	s.paused = time.Now()
	s.t.Logf("taken over: the next order is confirmed after %v", s.works())
}

func resume(s *shared) {
	stood := time.Since(s.paused)
	check(s.t, s.processes[0].cmd.Process.Signal(syscall.SIGCONT))
	s.t.Logf("it stood still for %v", stood.Round(time.Millisecond))
	if stood < 30*time.Second {
		s.t.Error("the process has to stand still for 30s at least")
	}
}

func replace(s *shared) {
	s.processes[0].stop(syscall.SIGTERM, 15*time.Second)
	s.processes[0].start()
}

// drop kills a process for good.
func (s *shared) drop(n int) {
	s.processes[n].kill()
	s.processes = append(s.processes[:n:n], s.processes[n+1:]...)
}

func (s *shared) said(text string) bool {
	for _, p := range s.processes {
		b, err := os.ReadFile(p.log)
		check(s.t, err)
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

func TestFaultsOnServers(t *testing.T) {
	binary := build(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := newShared(t, binary, trouble)
			s.load.start(t)
			time.Sleep(3 * time.Second)
			before, began := s.confirmed(), time.Now()
			if before == 0 {
				t.Fatal("there is no load")
			}
			f.begin(s)
			time.Sleep(time.Until(began.Add(f.lasts)))
			f.end(s)
			lasted, during := time.Since(began), s.confirmed()-before
			took := s.works()
			t.Logf("%s: for %v, %d orders confirmed meanwhile; after its end the next is confirmed after %v", f.name, lasted.Round(time.Millisecond), during, took)
			if f.goesOn && during == 0 {
				t.Error("no order was confirmed while it lasted")
			}
			if !s.said(f.said) {
				t.Errorf("no process logs %q", f.said)
			}
			s.end()
		})
	}
}
