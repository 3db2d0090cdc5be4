package streams_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// Only one unit may write to a topic of events, and only its readers read it.
func TestACLsHaveOneWriterPerTopic(t *testing.T) {
	top := fleet(t)
	writers, readers := map[string][]string{}, map[string][]string{}
	for _, a := range top.ACLs() {
		if a.Resource == "topic" && slices.Contains(a.Operations, "Write") {
			writers[a.Name] = append(writers[a.Name], a.Unit)
		}
		if a.Resource == "topic" && slices.Contains(a.Operations, "Read") && a.Unit != streams.ProjectionUnit {
			readers[a.Name] = append(readers[a.Name], a.Unit)
		}
	}
	for _, x := range top.Topics() {
		if len(writers[x.Name]) != 1 {
			t.Errorf("topic %s of %s may be written by %v", x.Name, x.Writer, writers[x.Name])
		}
	}
	if got := writers["external.account"]; !slices.Equal(got, []string{streams.IngestUnit}) {
		t.Errorf("what is posted from outside may be written by %v", got)
	}
	for _, name := range []string{"front", "back"} {
		if got := readers[streams.LaneTopic(name)]; !slices.Equal(got, []string{name}) {
			t.Errorf("the lane topic of %s may be read by %v", name, got)
		}
	}
}

func TestAnACLAsKafkaSaysIt(t *testing.T) {
	a := streams.ACL{Unit: "order", Resource: "topic", Name: "order.order", Operations: []string{"Write", "Describe"}}
	if got := a.CLI(); !strings.HasSuffix(got, "--allow-principal User:order --operation Write --operation Describe --topic order.order") {
		t.Error(got)
	}
}

// Rule 11: no compaction on topics that feed lanes; nor anything else that would
// lose events.
func TestTopicsThatLoseEventsAreRefused(t *testing.T) {
	for _, bad := range []struct{ key, value, why string }{
		{"cleanup.policy", "compact", "compacted"},
		{"cleanup.policy", "compact,delete", "compacted"},
		{"retention.ms", "604800000", "retention.ms=604800000: events would be deleted"},
		{"min.insync.replicas", "1", "min.insync.replicas=1"},
		{"min.insync.replicas", "12", ""},
	} {
		inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
			ctx := context.Background()
			cl, err := kgo.NewClient(c.Client()...)
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			topic, forever := c.Topology.Topics()[0].Name, "-1"
			configs := map[string]*string{"retention.ms": &forever, bad.key: &bad.value}
			if _, err := kadm.NewClient(cl).CreateTopic(ctx, c.Partitions, 1, configs, topic); err != nil {
				t.Fatal(err)
			}
			err = streams.MakeTopics(ctx, streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions, MinInSync: 2})
			switch {
			case bad.why == "" && err != nil:
				t.Errorf("%s=%s is refused: %v", bad.key, bad.value, err)
			case bad.why != "" && (err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), bad.why)):
				t.Errorf("%s=%s: got error %v, want one that names %s, and says %q", bad.key, bad.value, err, topic, bad.why)
			}
		})
	}
}
