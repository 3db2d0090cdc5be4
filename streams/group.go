package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A group's session: franz-go's 45 s, or the broker's under KIP-848, would
// block a dead member's lanes for as long.
const (
	sessionTime   = 9 * time.Second
	heartbeatTime = 2 * time.Second
	rebalanceTime = 15 * time.Second
)

// groupProtocol are the options of a group whose members are given lanes.
func (c *Config) groupProtocol() []kgo.Opt {
	opts := []kgo.Opt{kgo.SessionTimeout(sessionTime), kgo.HeartbeatInterval(heartbeatTime), kgo.RebalanceTimeout(rebalanceTime)}
	if c.ServerGroups {
		return append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	return append(opts, kgo.Balancers(kgo.CooperativeStickyBalancer()))
}

// laneGroup are the options of a group whose assignment is a unit's lanes. The
// lane topic is empty; its records, were there any, mean nothing.
func (c *Config) laneGroup(unit string) []kgo.Opt {
	return append(append(c.groupProtocol(), c.static()...), kgo.ConsumerGroup(unit), kgo.ConsumeTopics(LaneTopic(unit)), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(5*time.Second))
}

// static makes a member keep its place over a restart. Without it a member that is
// killed and started again and again leaves a dead one behind each time, and the
// group gives all of them lanes, the survivors' lanes too, until their sessions end.
func (c *Config) static() []kgo.Opt {
	if c.Instance == "" || c.ServerGroups {
		return nil
	}
	return []kgo.Opt{kgo.InstanceID(c.Instance)}
}

// leave gives a static member's place up, so that others take over at once: closing
// its client does not.
func (c *Config) leave(group string) {
	if len(c.static()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := withAdmin(c.Client, func(adm *kadm.Client) error {
		_, err := adm.LeaveGroup(ctx, kadm.LeaveGroup(group).InstanceIDs(c.Instance).Reason("stopped"))
		return err
	})
	if err != nil {
		c.Log.Warn("the group is not left, its lanes wait for the end of the session", "group", group, "error", err)
	}
}

// putOut ends a member whose name another process has taken in the group.
type putOut struct {
	c   *Config
	end context.CancelCauseFunc
}

type putOutError struct{ error }

// OnGroupManageError is told why the group's session ended.
func (p *putOut) OnGroupManageError(err error) {
	if errors.Is(err, kerr.FencedInstanceID) {
		p.end(putOutError{fmt.Errorf("another process has joined the group under the name of this one, %q: give each process a host name or an address of its own: %w", p.c.Instance, err)})
	}
}

// isPutOut is why ctx ended, if it was for that.
func isPutOut(ctx context.Context) error {
	if why := (putOutError{}); errors.As(context.Cause(ctx), &why) {
		return why.error
	}
	return nil
}

// shortenSessions sets a group's session time at the broker, where it is under
// KIP-848.
func shortenSessions(ctx context.Context, cfg *Config, group string) error {
	if !cfg.ServerGroups {
		return nil
	}
	cl, err := kgo.NewClient(cfg.Client...)
	if err != nil {
		return err
	}
	defer cl.Close()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeGroupConfig, group
	for name, d := range map[string]time.Duration{"consumer.session.timeout.ms": sessionTime, "consumer.heartbeat.interval.ms": heartbeatTime} {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = name, kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(strconv.FormatInt(d.Milliseconds(), 10))
		r.Configs = append(r.Configs, c)
	}
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Resources = append(q.Resources, r)
	rs, err := q.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("setting the session time of group %s: %w", group, err)
	}
	for _, x := range rs.Resources {
		if err := kerr.ErrorForCode(x.ErrorCode); err != nil {
			why := ""
			if x.ErrorMessage != nil {
				why = *x.ErrorMessage
			}
			return fmt.Errorf("the broker takes no session of %v for group %s, and a dead member would keep its lanes for 45 s: set group.consumer.min.session.timeout.ms=6000 and group.consumer.min.heartbeat.interval.ms=1000 there, or use the classic protocol: %w %s",
				sessionTime, group, err, why)
		}
	}
	return nil
}
