//go:build real

package bench

import (
	"context"
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

// BenchmarkPassThrough is a stateless pipeline on a real broker beside bare
// franz-go that does the same work: it polls, decodes the same JSON, encodes the
// same JSON, and produces it under the same headers, at least once: offsets are
// committed after what they stand for. In turns, and as the ratio of their medians. An op is
// b.N records of each in every round.
func BenchmarkPassThrough(b *testing.B) {
	var ours, bare rates
	// The topics are made anew for every round, and have to be seen at once.
	opts := []kgo.Opt{kgo.SeedBrokers(streamtest.Real(b, "kafka")), kgo.MetadataMinAge(50 * time.Millisecond)}
	b.ResetTimer()
	for range passRounds {
		took, used := passOnce(b, opts, pipelinePass)
		ours.add(b.N, took, used)
		took, used = passOnce(b, opts, barePass)
		bare.add(b.N, took, used)
		b.Logf("pipeline %.0f/s, bare %.0f/s", ours.perSecond[len(ours.perSecond)-1], bare.perSecond[len(bare.perSecond)-1])
	}
	b.ReportMetric(median(ours.perSecond), "records/s")
	b.ReportMetric(median(bare.perSecond), "bare-records/s")
	b.ReportMetric(median(ours.perSecond)/median(bare.perSecond), "of-bare")
	b.ReportMetric(median(ours.perCPU)/median(bare.perCPU), "of-bare-by-cpu")
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
	return streams.RunPipeline(ctx, streams.Config{Topology: passTopology(b), Client: opts, Partitions: benchLanes, MaxBatch: passBatch, Hooks: hooksFor(b, 500)}, "pass")
}

// barePass is what somebody would write with the client alone.
func barePass(ctx context.Context, b *testing.B, opts []kgo.Opt) error {
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
			if err := sonic.Unmarshal(in.Value, &o); err != nil {
				return err
			}
			data, err := sonic.Marshal(passedOn(o))
			if err != nil {
				return err
			}
			out = append(out, &kgo.Record{Topic: "pass.account", Partition: in.Partition, Key: in.Key, Value: data, Headers: in.Headers})
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
