package projection

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TopicStats is a topic as Run in this process saw it. How far it is behind is
// not for it to say: see Lag.
type TopicStats struct {
	Topic     string  `json:"topic"`
	Records   int64   `json:"records"`    // read, the repeats included
	PerSecond float64 `json:"per_second"` // mean of the last ten whole seconds
}

// rateSeconds is the width of the mean.
const rateSeconds = 10

type counters struct {
	mu     sync.Mutex
	topics map[string]*topicCounter
}

type topicCounter struct {
	records int64
	second  [rateSeconds + 1]int64 // records of the second at index % len
	at      [rateSeconds + 1]int64 // which second that is
}

func (c *counters) record(now time.Time, fetches kgo.Fetches) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if p.Partition < 0 { // a made-up fetch that only carries an error
			return
		}
		t := c.topics[p.Topic]
		if t == nil {
			t = &topicCounter{}
			c.topics[p.Topic] = t
		}
		t.add(now.Unix(), int64(len(p.Records)))
	})
}

func (t *topicCounter) add(second, n int64) {
	t.records += n
	i := second % int64(len(t.at))
	if t.at[i] != second {
		t.at[i], t.second[i] = second, 0
	}
	t.second[i] += n
}

// Stats are live numbers of every topic that was fetched, sorted by name. There
// are none if another process writes the read model.
func (w *Writer) Stats(now time.Time) []TopicStats {
	w.stats.mu.Lock()
	defer w.stats.mu.Unlock()
	out := make([]TopicStats, 0, len(w.stats.topics))
	for name, t := range w.stats.topics {
		x := TopicStats{Topic: name, Records: t.records}
		for i, at := range t.at {
			if age := now.Unix() - at; age >= 1 && age <= rateSeconds {
				x.PerSecond += float64(t.second[i]) / rateSeconds
			}
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b TopicStats) int { return strings.Compare(a.Topic, b.Topic) })
	return out
}
