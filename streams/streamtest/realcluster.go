package streamtest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// NewClusterOn is NewCluster on a real broker, in real time. The topology's
// topics and groups are removed from the broker first: it is for tests only.
func NewClusterOn(t testing.TB, topology *streams.Topology, partitions int32, brokers ...string) *Cluster {
	t.Helper()
	c := newCluster(t, topology, partitions)
	c.brokers, c.dial = brokers, new(net.Dialer).DialContext
	if err := c.clear(t.Context()); err != nil {
		t.Fatalf("the broker cannot be cleared: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func (c *Cluster) clear(ctx context.Context) error {
	cl, err := kgo.NewClient(c.Client()...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	var names, groups []string
	for _, s := range c.Topology.TopicSpecs(streams.Config{Partitions: c.Partitions}) {
		names = append(names, s.Name)
	}
	for _, s := range c.Topology.Services {
		groups = append(groups, s.Name, streams.MirrorGroup(s.Name))
	}
	for _, p := range c.Topology.Pipelines {
		groups = append(groups, p.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for again := true; again; {
		if again, err = remove(ctx, adm, groups, names); err != nil && (ctx.Err() != nil || !kerr.IsRetriable(err)) {
			return err
		}
		again = again || err != nil
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// remove deletes groups and topics, and tells whether some may still be there:
// a group has members until their sessions end, a topic takes a moment.
func remove(ctx context.Context, adm *kadm.Client, groups, topics []string) (again bool, err error) {
	gs, err := adm.DeleteGroups(ctx, groups...)
	if err != nil {
		var shards *kadm.ShardErrors // a broker without any group has no coordinator yet
		if errors.As(err, &shards) && len(shards.Errs) > 0 {
			err = shards.Errs[0].Err
		}
		return true, err
	}
	for _, g := range gs {
		again = again || errors.Is(g.Err, kerr.NonEmptyGroup)
	}
	ts, err := adm.DeleteTopics(ctx, topics...)
	if err != nil {
		return true, err
	}
	for _, t := range ts {
		again = again || t.Err == nil
		if t.Err != nil && !errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			return true, t.Err
		}
	}
	return again, nil
}
