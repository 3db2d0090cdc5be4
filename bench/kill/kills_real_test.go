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
		took := s.works()
		t.Logf("after kill %d the next order is confirmed after %v; %d orders meanwhile", n+1, took, s.confirmed()-before)
	}
	s.works()
	s.end()
}
