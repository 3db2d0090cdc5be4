package streams_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// What a pipeline makes of a record, routes it to or gives up on stays in the
// record's trace; what came without one gets none.
func TestPipelineKeepsTheTrace(t *testing.T) {
	for _, transactional := range []bool{false, true} {
		inWatch(t, transactional, func(t *testing.T, c *streamtest.Cluster, _ *laneWatch) {
			c.Start("front")
			c.Start("watchers")
			p := runPipe(c)
			defer p.end(t)
			want := map[string]string{} // account and amount → traceparent
			for n, amount := range []int64{10, 20, unreadable, deadly, 50} {
				d := deposit{account(fmt.Sprint("acc-", n)), "br-1", amount}
				cmd, err := streams.NewCommand(fmt.Sprint("d-", n), "deposit", d)
				if err != nil {
					t.Fatal(err)
				}
				if amount != 50 {
					cmd.Traceparent = fmt.Sprintf("00-%032x-%016x-%02d", n+1, n+1, n%2)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if _, err := c.Send(ctx, cmd); err != nil {
					t.Fatal(err)
				}
				cancel()
				want[fmt.Sprint("d-", n)] = cmd.Traceparent
			}
			time.Sleep(10 * time.Second)
			source := traces(t, c, "teller.account")
			if len(source) != len(want) {
				t.Fatalf("%d deposits are on the log", len(source))
			}
			for _, e := range source {
				if e.Traceparent != want[e.Causation] {
					t.Errorf("the deposit of %s carries %q, want %q", e.Causation, e.Traceparent, want[e.Causation])
				}
			}
			for i := range source { // whose spans the outputs continue
				source[i].Traceparent = ownSpan(source[i].Traceparent)
			}
			for topic, n := range map[string]int{"watch.account": 3, "watch.branch": 3, streams.DeadTopic("watch"): 2} {
				continued(t, topic, traces(t, c, topic), source, n)
			}
			behind := traces(t, c, "watcher.account") // and on through a lane
			continued(t, "watcher.account", behind, traces(t, c, "watch.account"), 3)
		})
	}
}

// continued wants so many records, each in the trace of its cause.
func continued(t *testing.T, topic string, got, causes []streams.Envelope, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("%s has %d records, want %d", topic, len(got), n)
	}
	for _, e := range got {
		i := slices.IndexFunc(causes, func(c streams.Envelope) bool { return c.ID == e.Causation })
		if i < 0 || e.Traceparent != causes[i].Traceparent {
			t.Errorf("%s: %s %s carries %q, and its cause is %d of %+v", topic, e.Type, e.ID, e.Traceparent, i, causes)
		}
	}
}

func traces(t *testing.T, c *streamtest.Cluster, topic string) (out []streams.Envelope) {
	t.Helper()
	for _, r := range readAll(t, c, kgo.ReadCommitted(), topic) {
		e, err := streams.ReadEnvelope(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
