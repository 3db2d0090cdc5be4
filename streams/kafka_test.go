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

// Rule 11: no compaction on topics that feed lanes.
func TestCompactedTopicIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, c *streamtest.Cluster) {
		ctx := context.Background()
		cl, err := kgo.NewClient(c.Client()...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		topic, compact := c.Topology.Topics()[0].Name, "compact"
		if _, err := kadm.NewClient(cl).CreateTopic(ctx, c.Partitions, 1, map[string]*string{"cleanup.policy": &compact}, topic); err != nil {
			t.Fatal(err)
		}
		err = streams.MakeTopics(ctx, streams.Config{Topology: c.Topology, Client: c.Client(), Partitions: c.Partitions})
		if err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "compacted") {
			t.Errorf("got error %v, want one that names the compacted topic %s", err, topic)
		}
	})
}
