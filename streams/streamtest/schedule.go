package streamtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirstream/weir/streams"
)

// Schedule is all that is decided beforehand about one run: what the seed
// fixes. Go's own interleaving is not in it.
type Schedule struct {
	Seed      uint64         `json:"seed"`
	Instances map[string]int `json:"instances"`      // of each service, at the start
	Skew      time.Duration  `json:"skew,omitempty"` // instances' clocks are wrong by up to this
	Faults    []Fault        `json:"faults"`
}

// Fault is one thing that goes wrong. Fields that its kind has no use for are
// zero.
type Fault struct {
	At      time.Duration `json:"at"` // since the services are at work
	Kind    Kind          `json:"kind"`
	Service string        `json:"service,omitempty"`
	Node    int           `json:"node,omitempty"` // the n-th instance alive, or broker
	Point   streams.Point `json:"point,omitempty"`
	For     time.Duration `json:"for,omitempty"`   // until it is over, or who died comes back
	Count   int           `json:"count,omitempty"` // times, or which
	Name    string        `json:"name,omitempty"`  // of a broker's answer, or of trouble outside
}

// Kind says what goes wrong.
type Kind string

// What can go wrong.
const (
	Die              Kind = "die"               // an instance dies the Count-th time at Point, at once without; it comes back after For, if that is not 0
	Join             Kind = "join"              // one more instance
	Leave            Kind = "leave"             // an instance drains and goes
	Freeze           Kind = "freeze"            // an instance stands still; past its session it returns as a zombie
	CutOff           Kind = "cut-off"           // an instance cannot reach the broker
	Deaf             Kind = "deaf"              // the broker acts, an instance never hears it
	Late             Kind = "late"              // an instance hears the broker's answers a fourth of For later
	BrokerError      Kind = "broker-error"      // Count requests get the answer Name; a time-out comes after the broker has acted
	BrokerAway       Kind = "broker-away"       // one of the two brokers takes no connections
	MoveLeaders      Kind = "move-leaders"      // partitions change brokers
	MoveCoordinators Kind = "move-coordinators" // so do groups
	StoreBusy        Kind = "store-busy"        // an instance's commits fail, undone
	StoreDoubt       Kind = "store-doubt"       // Count commits are done and not acknowledged
	StoreSlow        Kind = "store-slow"        // each commit takes 300 ms
	StoreRestored    Kind = "store-restored"    // a service starts on an old copy of its store: it must halt
	StoreFailsOver   Kind = "store-fails-over"  // a service's store becomes an older copy of itself under its lanes: they must halt
	Repeat           Kind = "repeat"            // Count records come again, byte for byte, however old
	Misplace         Kind = "misplace"          // an event lies in a partition that is not its key's, or has no key
	Poison           Kind = "poison"            // an event that nobody can decode: its key parks
	ClockJumps       Kind = "clock-jumps"       // the clock of an instance's machine is a day ahead
	Outside          Kind = "outside"           // the trouble Name of the simulation's own
)

// kinds in the proportion in which they come; what a simulation has no use for
// is left out.
var kinds = []Kind{Die, Die, Die, Die, Die, Join, Join, Leave, Freeze, Freeze, CutOff, Deaf, Deaf, Late, BrokerError, BrokerError, BrokerError, BrokerAway,
	MoveLeaders, MoveCoordinators, ClockJumps, StoreBusy, StoreDoubt, StoreDoubt, StoreSlow, Repeat, Repeat, Misplace, Poison, Outside, Outside}

// Where an instance may die. The empty point is: at any moment.
var deadlyPoints = []streams.Point{"", streams.PointPolled, streams.PointDecided, streams.PointCommitted, streams.PointCommitted, streams.PointPublishing, streams.PointPublished,
	streams.PointEffectAsked, streams.PointEffectDone, streams.PointRevoked, streams.PointClaimed, streams.PointTimersDue}

// brokerAnswers are what a broker may say to a request and be asked again.
var brokerAnswers = map[string]struct {
	key kmsg.Key
	err *kerr.Error
}{
	"Produce/NOT_LEADER_FOR_PARTITION":             {kmsg.Produce, kerr.NotLeaderForPartition},
	"Produce/REQUEST_TIMED_OUT":                    {kmsg.Produce, kerr.RequestTimedOut},
	"Produce/NOT_ENOUGH_REPLICAS":                  {kmsg.Produce, kerr.NotEnoughReplicas},
	"Produce/NOT_ENOUGH_REPLICAS_AFTER_APPEND":     {kmsg.Produce, kerr.NotEnoughReplicasAfterAppend},
	"Produce/KAFKA_STORAGE_ERROR":                  {kmsg.Produce, kerr.KafkaStorageError},
	"Fetch/NOT_LEADER_FOR_PARTITION":               {kmsg.Fetch, kerr.NotLeaderForPartition},
	"Fetch/FENCED_LEADER_EPOCH":                    {kmsg.Fetch, kerr.FencedLeaderEpoch},
	"Fetch/OFFSET_NOT_AVAILABLE":                   {kmsg.Fetch, kerr.OffsetNotAvailable},
	"ListOffsets/LEADER_NOT_AVAILABLE":             {kmsg.ListOffsets, kerr.LeaderNotAvailable},
	"Metadata/LEADER_NOT_AVAILABLE":                {kmsg.Metadata, kerr.LeaderNotAvailable},
	"InitProducerID/COORDINATOR_LOAD_IN_PROGRESS":  {kmsg.InitProducerID, kerr.CoordinatorLoadInProgress},
	"FindCoordinator/COORDINATOR_NOT_AVAILABLE":    {kmsg.FindCoordinator, kerr.CoordinatorNotAvailable},
	"JoinGroup/NOT_COORDINATOR":                    {kmsg.JoinGroup, kerr.NotCoordinator},
	"JoinGroup/COORDINATOR_LOAD_IN_PROGRESS":       {kmsg.JoinGroup, kerr.CoordinatorLoadInProgress},
	"SyncGroup/REBALANCE_IN_PROGRESS":              {kmsg.SyncGroup, kerr.RebalanceInProgress},
	"Heartbeat/REBALANCE_IN_PROGRESS":              {kmsg.Heartbeat, kerr.RebalanceInProgress},
	"Heartbeat/UNKNOWN_MEMBER_ID":                  {kmsg.Heartbeat, kerr.UnknownMemberID},
	"Heartbeat/COORDINATOR_NOT_AVAILABLE":          {kmsg.Heartbeat, kerr.CoordinatorNotAvailable},
	"OffsetCommit/COORDINATOR_LOAD_IN_PROGRESS":    {kmsg.OffsetCommit, kerr.CoordinatorLoadInProgress},
	"OffsetFetch/NOT_COORDINATOR":                  {kmsg.OffsetFetch, kerr.NotCoordinator},
	"OffsetForLeaderEpoch/UNKNOWN_TOPIC_PARTITION": {kmsg.OffsetForLeaderEpoch, kerr.UnknownTopicOrPartition},
}

func answerNames() []string {
	names := make([]string, 0, len(brokerAnswers))
	for n := range brokerAnswers {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Schedule draws a run from a seed: the same simulation and seed give the same
// schedule.
func (s *Simulation) Schedule(seed uint64) Schedule {
	s.defaults()
	d := &draw{s: s, Rand: rand.New(rand.NewPCG(seed, 0xfa17)), answers: answerNames()}
	out := Schedule{Seed: seed, Instances: map[string]int{}}
	for _, svc := range s.Topology.Services {
		out.Instances[svc.Name] = 1 + d.IntN(s.Instances)
	}
	if d.IntN(2) == 0 {
		out.Skew = d.upTo(3 * time.Minute)
	}
	for range 2 + d.IntN(8) {
		at := d.upTo(s.Lasts)
		for _, f := range d.fault() {
			f.At += at
			out.Faults = append(out.Faults, f)
		}
	}
	if d.IntN(8) == 0 {
		kind := []Kind{StoreRestored, StoreFailsOver}[d.IntN(2)]
		out.Faults = append(out.Faults, Fault{At: s.Lasts / 2, Kind: kind, Service: d.service()})
	}
	slices.SortStableFunc(out.Faults, func(a, b Fault) int { return int(a.At - b.At) })
	return out
}

type draw struct {
	*rand.Rand
	s       *Simulation
	answers []string
}

func (d *draw) service() string {
	return d.s.Topology.Services[d.IntN(len(d.s.Topology.Services))].Name
}

// upTo is a whole number of milliseconds, so that a schedule reads well.
func (d *draw) upTo(most time.Duration) time.Duration {
	return time.Duration(1+d.Int64N(most.Milliseconds())) * time.Millisecond
}

// fault draws one fault, or a storm of them.
func (d *draw) fault() []Fault {
	k := kinds[d.IntN(len(kinds))]
	for k == Outside && len(d.s.Outside) == 0 {
		k = kinds[d.IntN(len(kinds))]
	}
	f := Fault{Kind: k, Service: d.service(), Node: d.IntN(d.s.Instances)}
	switch k {
	case Die:
		f.Point, f.Count = deadlyPoints[d.IntN(len(deadlyPoints))], 1+d.IntN(4)
		if d.IntN(4) > 0 {
			f.For = d.upTo(15 * time.Second)
		}
	case Join, Leave:
		if d.IntN(3) == 0 {
			return d.storm(f)
		}
	case Freeze:
		f.For = d.upTo(30 * time.Second)
	case CutOff, Late, StoreBusy, StoreSlow, ClockJumps:
		f.For = d.upTo(15 * time.Second)
	case Deaf:
		f.For = d.upTo(3 * time.Second)
	case BrokerError:
		f = Fault{Kind: k, Name: d.answers[d.IntN(len(d.answers))], Count: 1 + d.IntN(6)}
	case BrokerAway:
		f = Fault{Kind: k, Node: d.IntN(brokers), For: d.upTo(15 * time.Second)}
		if d.IntN(2) == 0 { // whose records went to both brokers dies half-way
			return []Fault{f, {At: d.upTo(f.For), Kind: Die, Service: d.service(), Count: 1, For: d.upTo(5 * time.Second)}}
		}
	case StoreDoubt:
		f.Count = 1 + d.IntN(3)
	case MoveLeaders, MoveCoordinators:
		f = Fault{Kind: k}
	case Repeat, Misplace, Poison:
		f = Fault{Kind: k, Count: 1 + d.IntN(3)}
	case Outside:
		f = Fault{Kind: k, Name: d.s.Outside[d.IntN(len(d.s.Outside))].Name, For: d.upTo(20 * time.Second)}
	}
	return []Fault{f}
}

// storm is instances that come and go faster than the group settles.
func (d *draw) storm(f Fault) (out []Fault) {
	for range 3 + d.IntN(4) {
		f.Kind, f.Node = []Kind{Join, Leave}[d.IntN(2)], d.IntN(d.s.Instances)
		out = append(out, f)
		f.At += d.upTo(2 * time.Second)
	}
	return out
}

// String shows a fault on one line.
func (f Fault) String() string {
	s := fmt.Sprintf("%8s  %s", f.At, f.Kind)
	if f.Service != "" {
		s += fmt.Sprintf(" %s", f.Service)
		if f.Kind != Join && f.Kind != StoreRestored && f.Kind != StoreFailsOver {
			s += fmt.Sprintf("/%d", f.Node)
		}
	} else if f.Kind == BrokerAway {
		s += fmt.Sprintf(" %d", f.Node)
	}
	if f.Name != "" {
		s += " " + f.Name
	}
	if f.Point != "" {
		s += " at " + string(f.Point)
	}
	if f.Count > 1 {
		s += fmt.Sprintf(" ×%d", f.Count)
	}
	switch {
	case f.Kind == Die && f.For == 0:
		s += ", never to come back"
	case f.Kind == Die:
		s += fmt.Sprintf(", back after %s", f.For)
	case f.For > 0:
		s += fmt.Sprintf(" for %s", f.For)
	}
	return s
}

// String shows a schedule, a line per fault.
func (s Schedule) String() string {
	var b strings.Builder
	names := make([]string, 0, len(s.Instances))
	for n, k := range s.Instances {
		names = append(names, fmt.Sprintf("%s×%d", n, k))
	}
	slices.Sort(names)
	fmt.Fprintf(&b, "seed %d: %s", s.Seed, strings.Join(names, " "))
	if s.Skew > 0 {
		fmt.Fprintf(&b, ", clocks wrong by up to %s", s.Skew)
	}
	b.WriteByte('\n')
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	return b.String()
}

// ParseSchedule reads a schedule in JSON, as failures print it.
func ParseSchedule(b []byte) (s Schedule, err error) {
	if err = json.Unmarshal(b, &s); err != nil {
		err = fmt.Errorf("a schedule is JSON like the one that a failure prints: %w", err)
	}
	return s, err
}
