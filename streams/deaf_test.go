package streams_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// deafCommands is a port whose broker may refuse queues.
type deafCommands struct {
	streams.Commands
	refused atomic.Pointer[error]
}

func (d *deafCommands) Serve(service string, lane int32, epoch int64) *streams.CommandQueue {
	q := d.Commands.Serve(service, lane, epoch)
	q.Err = func() error {
		if err := d.refused.Load(); err != nil && lane == 1 {
			return *err
		}
		return nil
	}
	return q
}

// A lane that works, and hears no commands, says so and why.
func TestALaneSaysThatItTakesNoCommands(t *testing.T) {
	inDesk(t, &outsider{reply: yes}, func(t *testing.T, c *streamtest.Cluster) {
		d, why := &deafCommands{Commands: c.Commands}, errors.New("the queue is of another kind")
		c.Commands = d
		d.refused.Store(&why)
		n := c.Start("desks")
		want := func(deaf error) {
			t.Helper()
			lanes := n.Lanes()
			for _, l := range lanes {
				if l.State != streams.LaneRunning || (l.Deaf != nil) != (l.Lane == 1 && deaf != nil) || l.Deaf != nil && !errors.Is(l.Deaf, deaf) {
					t.Errorf("lane %d is %s, and takes no commands because of %v", l.Lane, l.State, l.Deaf)
				}
			}
			if len(lanes) != int(c.Partitions) {
				t.Errorf("%d lanes", len(lanes))
			}
		}
		time.Sleep(10 * time.Second)
		want(why)
		d.refused.Store(nil)
		want(nil)
	})
}
