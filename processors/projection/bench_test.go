package projection_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// BenchmarkRun is the time for one event, from the broker to the rows.
func BenchmarkRun(b *testing.B) {
	k, s := newKafka(b), fresh(b)
	w := k.writer("order", 0)
	var recs []*kgo.Record
	for i := range b.N {
		id := event.OrderID(fmt.Sprint("o", i/4))
		recs = append(recs, w.record("c-"+string(id), []streams.Event{placed(string(id), "ada"), event.OrderConfirmed{Order: id},
			event.HoldRequested{Order: id, SKU: "A"}, event.OrderClosed{Order: id}}[i%4]))
	}
	if err := k.cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		b.Fatal(err)
	}
	last := map[string]string{} // every partition's last event
	for _, r := range recs {
		e, err := streams.ReadEnvelope(r)
		if err != nil {
			b.Fatal(err)
		}
		t := streams.Token{Source: streams.Source{Topic: r.Topic, Lane: e.Lane}, Seq: e.Seq}
		last[fmt.Sprint(r.Topic, r.Partition)] = t.String()
	}
	b.ResetTimer()
	stop := start(b, s, k.config())
	for _, t := range last {
		if err := s.Await(ctx, t); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}
