//go:build real

package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/bytedance/sonic"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// passedOn is what the pass-through makes of an order.
type passedOn struct {
	ID      string  `json:"id"`
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	Details details `json:"details"`
}

func (p passedOn) Key() streams.Key { return p.Account }

const (
	passRounds = 5
	passBatch  = 10_000 // records of a poll, of either
)

// BenchmarkPassThrough is a stateless pipeline on a real broker, telemetry on,
// beside bare franz-go: polls of the same size, the same JSON decoded and encoded in
// the same dialect, produced at least once, offsets committed after what they
// stand for. One bare program does all of the same work: it reads the event's
// attributes and writes those of a new event, with an id of its own. The other
// copies the headers as they are. In turns, and as ratios of medians; an op is b.N
// records of each in every round.
func BenchmarkPassThrough(b *testing.B) {
	var ours, same, copied rates
	// The topics are made anew for every round, and have to be seen at once.
	opts := []kgo.Opt{kgo.SeedBrokers(streamtest.Real(b, "kafka")), kgo.MetadataMinAge(50 * time.Millisecond)}
	b.ResetTimer()
	for range passRounds {
		took, used := passOnce(b, opts, pipelinePass)
		ours.add(b.N, took, used)
		took, used = passOnce(b, opts, barePass(newEvent))
		same.add(b.N, took, used)
		took, used = passOnce(b, opts, barePass(copyHeaders))
		copied.add(b.N, took, used)
	}
	b.Logf("records/s: pipeline %.0f, bare %.0f, copying headers %.0f", ours.perSecond, same.perSecond, copied.perSecond)
	b.ReportMetric(median(ours.perSecond), "records/s")
	b.ReportMetric(median(ours.perSecond)/median(same.perSecond), "of-bare")
	b.ReportMetric(median(ours.perCPU)/median(same.perCPU), "of-bare-by-cpu")
	b.ReportMetric(median(ours.perSecond)/median(copied.perSecond), "of-copying")
	b.ReportMetric(0, "ns/op")
}

// passOnce fills fresh topics, runs a pass-through until all is through, and
// tells how long that took from the first record on, and the CPU of this process.
func passOnce(b *testing.B, opts []kgo.Opt, run func(context.Context, *testing.B, []kgo.Opt) error) (took, used time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	clearTopics(ctx, b, adm, "till.account", "pass.account", "pass.dead")
	if _, err := adm.DeleteGroups(ctx, "pass"); err != nil {
		b.Log(err) // a broker without groups has no coordinator yet
	}
	if err := streams.MakeTopics(ctx, streams.Config{Topology: passTopology(b), Client: opts, Partitions: benchLanes}); err != nil {
		b.Fatal(err)
	}
	fill(b, opts, b.N)
	var began time.Time
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, b, opts) }()
	for sum := int64(0); sum < int64(b.N); time.Sleep(5 * time.Millisecond) {
		ends, err := adm.ListEndOffsets(ctx, "pass.account")
		if err != nil {
			b.Fatal(err)
		}
		sum = 0
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		if sum > 0 && began.IsZero() {
			began, used = time.Now(), cpu()
		}
		select {
		case err := <-ended:
			b.Fatalf("ended: %v", err)
		default:
		}
	}
	took, used = time.Since(began), cpu()-used
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return took, used
}

// clearTopics deletes topics, and waits until they are gone.
func clearTopics(ctx context.Context, b *testing.B, adm *kadm.Client, topics ...string) {
	for range 100 {
		rs, err := adm.DeleteTopics(ctx, topics...)
		if err != nil {
			b.Fatal(err)
		}
		gone := true
		for _, r := range rs {
			gone = gone && r.Err != nil
		}
		if gone {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("the topics do not go away")
}

func passTopology(b *testing.B) *streams.Topology {
	b.Helper()
	v, err := streams.NewVocabulary(streams.NewFact[ordered]("ordered"), streams.NewFact[passedOn]("passed"))
	if err != nil {
		b.Fatal(err)
	}
	till := streams.Define("till", account(""), func(s struct{}, _ streams.Event) struct{} { return s },
		streams.OnCommand("sell", func(struct{}, ordered, streams.Input) streams.Decision { return streams.Nothing() }, ordered{}))
	top, err := streams.NewTopology(v, []streams.Service{{Name: "tills", Deciders: []*streams.Decider{till}}},
		streams.Pipeline{Name: "pass", On: []streams.Event{ordered{}}, Emits: []streams.Event{passedOn{}},
			Step: func(e streams.Event) ([]streams.Event, error) { return []streams.Event{passedOn(e.(ordered))}, nil }})
	if err != nil {
		b.Fatal(err)
	}
	return top
}

func pipelinePass(ctx context.Context, b *testing.B, opts []kgo.Opt) error {
	i, err := streams.NewPipelineInstance(streams.Config{Topology: passTopology(b), Client: opts, Partitions: benchLanes, MaxBatch: passBatch, Hooks: hooksFor(b, 500)}, "pass")
	if err != nil {
		return err
	}
	return i.Run(ctx)
}

// newEvent makes the record of a new event that the first one caused.
func newEvent(in *kgo.Record, data []byte) (*kgo.Record, error) {
	e, err := streams.ReadEnvelope(in)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(e.ID + "/pass"))
	out := streams.Envelope{ID: hex.EncodeToString(id[:16]), Type: "passed", Version: 1, Source: "/pass", Time: e.Time, Key: e.Key, Correlation: e.Correlation, Causation: e.ID,
		Traceparent: e.Traceparent, Data: data, Lane: streams.NewLane("pass", in.Partition, in.Topic), Seq: in.Offset + 1}
	return out.Record("pass.account", streams.Partition(e.Key, benchLanes)), nil
}

func copyHeaders(in *kgo.Record, data []byte) (*kgo.Record, error) {
	return &kgo.Record{Topic: "pass.account", Partition: in.Partition, Key: in.Key, Value: data, Headers: in.Headers}, nil
}

// barePass is what somebody would write with the client alone.
func barePass(record func(in *kgo.Record, data []byte) (*kgo.Record, error)) func(context.Context, *testing.B, []kgo.Opt) error {
	return func(ctx context.Context, _ *testing.B, opts []kgo.Opt) error { return runBare(ctx, opts, record) }
}

func runBare(ctx context.Context, opts []kgo.Opt, record func(*kgo.Record, []byte) (*kgo.Record, error)) error {
	cl, err := kgo.NewClient(append(opts, kgo.ConsumerGroup("pass"), kgo.ConsumeTopics("till.account"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for {
		f := cl.PollRecords(ctx, passBatch)
		if ctx.Err() != nil {
			return nil
		}
		var out []*kgo.Record
		for it := f.RecordIter(); !it.Done(); {
			in := it.Next()
			var o ordered
			if err := sonic.ConfigStd.Unmarshal(in.Value, &o); err != nil {
				return err
			}
			data, err := sonic.ConfigStd.Marshal(passedOn(o))
			if err != nil {
				return err
			}
			r, err := record(in, data)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		if err := cl.ProduceSync(ctx, out...).FirstErr(); err != nil && ctx.Err() == nil {
			return err
		}
		if err := cl.CommitRecords(ctx, f.Records()...); err != nil && ctx.Err() == nil {
			return err
		}
		cl.AllowRebalance()
	}
}
