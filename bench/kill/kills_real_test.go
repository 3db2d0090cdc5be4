//go:build real

package kill

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestKilledProcessesOnServers(t *testing.T) {
	s := newShared(t, build(t), trouble)
	s.load.start(t)
	for n := range *kills {
		p := s.processes[rand.N(len(s.processes))]
		p.kill()
		time.Sleep(rand.N(500 * time.Millisecond))
		p.start()
		if n%4 < 3 { // before the group has found its peace
			time.Sleep(rand.N(3 * time.Second))
			continue
		}
		before := s.confirmed()
		took := s.works(recovery)
		t.Logf("at work %v after kill %d, %d orders confirmed meanwhile", took.Round(time.Millisecond), n+1, s.confirmed()-before)
	}
	s.works(recovery)
	s.end()
}
