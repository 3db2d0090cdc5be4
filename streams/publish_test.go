package streams

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Who is asked to stop while a batch is under way has not seen it acknowledged: what
// comes after it must not be sent, nor the mark be moved.
func TestAnInterruptedWaitIsNoAcknowledgement(t *testing.T) {
	cl, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"), kgo.RecordPartitioner(kgo.ManualPartitioner())) // nobody is there
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	p := newPublisher(cl, 3)
	none := func() error { return nil }
	if err := p.publish(t.Context(), []*kgo.Record{{Topic: "t"}}, 4, none); err != nil {
		t.Fatal(err)
	}
	stopped := errors.New("the ownership ends")
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { stop(stopped) })
	if err := p.wait(ctx); !errors.Is(err, stopped) {
		t.Errorf("the wait ends with %v", err)
	}
	if err := p.publish(ctx, []*kgo.Record{{Topic: "t"}}, 5, none); !errors.Is(err, stopped) {
		t.Errorf("the next batch is sent: %v", err)
	}
	if n := cl.BufferedProduceRecords(); n != 1 || p.mark.Load() != 3 || p.idle() {
		t.Errorf("%d records are with the producer, the mark is %d", n, p.mark.Load())
	}
}
