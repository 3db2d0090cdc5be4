package streams_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// A timer that falls due while the ends of the inputs are on their way waits for
// ends of its own: an input may be there that came before it, and after those.
func TestTimerDueMeanwhileWaitsForItsOwnEnds(t *testing.T) {
	inDesk(t, &outsider{reply: yes}, func(t *testing.T, c *streamtest.Cluster) {
		c.Start("desks")
		part, other := streams.Partition("acc-1", 4), account("")
		for n := 2; other == ""; n++ {
			if key := account(fmt.Sprint("acc-", n)); streams.Partition(string(key), 4) == part {
				other = key
			}
		}
		open(t, c, "acc-1", time.Minute)
		time.Sleep(time.Second)
		open(t, c, other, time.Minute)
		time.Sleep(57 * time.Second)
		var slow, unread atomic.Bool
		slow.Store(true)
		unread.Store(true)
		c.Broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			c.Broker.SleepControl(func() {
				for unread.Load() {
					time.Sleep(100 * time.Millisecond)
				}
			})
			return nil, nil, false
		})
		c.Broker.ControlKey(int16(kmsg.ListOffsets), func(q kmsg.Request) (kmsg.Response, error, bool) {
			c.Broker.KeepControl()
			if !slow.CompareAndSwap(true, false) {
				return nil, nil, false
			}
			c.Broker.SleepControl(func() { time.Sleep(4 * time.Second) })
			return emptyTopics(q.(*kmsg.ListOffsetsRequest)), nil, true // as it was when it was asked
		})
		time.Sleep(2500 * time.Millisecond) // the first is due for half a second, the other is not
		e := streams.Envelope{ID: "close-1", Type: "case.closed", Source: "test", Time: time.Now(), Key: string(other),
			Data: fmt.Appendf(nil, `{"account":%q}`, other)}
		produce(t, c, e.Record("external.account", part))
		time.Sleep(10 * time.Second)
		unread.Store(false)
		time.Sleep(20 * time.Second)
		if got := deskLog(t, c, "acc-1"); slow.Load() || !strings.Contains(got, "expired") {
			t.Errorf("slow ends were asked for: %t; the case that nobody closed: %s", !slow.Load(), got)
		}
		if got := deskLog(t, c, string(other)); strings.Contains(got, "expired") {
			t.Errorf("an unread input would have cancelled it: %s", got)
		}
	})
}

// emptyTopics answers that all that is asked about ends where it begins.
func emptyTopics(q *kmsg.ListOffsetsRequest) kmsg.Response {
	resp := q.ResponseKind().(*kmsg.ListOffsetsResponse)
	for _, t := range q.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.Offset, rp.Timestamp, rp.LeaderEpoch = p.Partition, 0, -1, p.CurrentLeaderEpoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
