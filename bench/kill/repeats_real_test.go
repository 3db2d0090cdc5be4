//go:build real

package kill

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

const (
	copies     = 4000 // records that come again
	copiesOnce = 200  // of them at once
)

// republish writes records of all topics of events once more, those of the first
// orders and those of now, as a producer does that lost what it was told. Every
// lane that reads one has to drop it.
func republish(s *shared) {
	top, err := shop.Business.Topology()
	check(s.t, err)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	before := s.dropped()
	sent := s.writeAgain(ctx, topicsOf(top))
	want := 0.0
	for topic, n := range sent {
		want += float64(n * readers(top, topic))
	}
	for ; s.dropped()-before < want; time.Sleep(100 * time.Millisecond) {
		if ctx.Err() != nil {
			s.t.Fatalf("%v records were dropped as repeats, after %v were written again: want that for each service that reads them, %v", s.dropped()-before, sent, want)
		}
	}
	s.t.Logf("written again: %v; dropped by those who read them: %v", sent, s.dropped()-before)
}

// writeAgain reads the log from its start, and writes what it reads. It meets
// what it wrote, so it may go on for as long as it likes.
func (s *shared) writeAgain(ctx context.Context, topics []string) map[string]int {
	s.t.Helper()
	cl, err := kgo.NewClient(append(slices.Clone(s.kafka), kgo.ConsumeTopics(topics...), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	check(s.t, err)
	defer cl.Close()
	sent := map[string]int{}
	for n := 0; n < copies; time.Sleep(200 * time.Millisecond) {
		fetches := cl.PollRecords(ctx, copiesOnce)
		check(s.t, fetches.Err())
		var again []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			again = append(again, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
			sent[r.Topic]++
		})
		check(s.t, cl.ProduceSync(ctx, again...).FirstErr())
		n += len(again)
	}
	return sent
}

func topicsOf(top *streams.Topology) (names []string) {
	for _, t := range top.Topics() {
		names = append(names, t.Name)
	}
	return names
}

// readers counts the services whose lanes read a topic. Who also writes it only
// looks at its last records.
func readers(top *streams.Topology, topic string) (n int) {
	for _, a := range top.ACLs() {
		if a.Name == topic && slices.Equal(a.Operations, []string{"Read"}) && !slices.Contains([]string{streams.ProjectionUnit, streams.AnalyticsUnit}, a.Unit) {
			n++
		}
	}
	return n
}

// dropped is how many repeats the processes that run have dropped.
func (s *shared) dropped() (n float64) {
	s.t.Helper()
	for _, p := range s.processes {
		status, body := call(http.MethodGet, p.base()+"/metrics", "", nil)
		if status != http.StatusOK {
			s.t.Fatalf("%s/metrics: %d %s", p.base(), status, body)
		}
		for line := range strings.Lines(string(body)) {
			if value, ok := strings.CutPrefix(line, telemetry.Repeats+"{"); ok {
				_, value, _ = strings.Cut(value, "} ")
				v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				check(s.t, err)
				n += v
			}
		}
	}
	return n
}
