package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

// finish lets no customer in any more, and waits until every request is
// answered, every acknowledged order is over, and nothing more comes onto the
// log.
func (l *load) finish(t *testing.T, log []kgo.Opt) {
	t.Helper()
	began := time.Now()
	l.stop()
	<-l.done
	for _, id := range l.acknowledged {
		for n := 0; !l.look(id.(event.OrderID), n).Closed; n++ {
			if time.Since(began) > time.Minute {
				t.Fatalf("order %s is not over a minute after the last trouble", id)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	quiet(t, log)
	t.Logf("all over %v after the last trouble", time.Since(began).Round(time.Millisecond))
}

// shown is what the gateway says of an order.
type shown struct {
	Closed      bool      `json:"closed"`
	ConfirmedAt time.Time `json:"confirmed_at"`
}

// look asks one of the processes about an order. No answer shows nothing.
func (l *load) look(id event.OrderID, n int) (o shown) {
	status, body := call(http.MethodGet, l.bases[n%len(l.bases)]+"/v1/orders/"+string(id), "", nil)
	if status != http.StatusOK || json.Unmarshal(body, &o) != nil {
		return shown{}
	}
	return o
}

// quiet waits until the log has not grown for a second, and every service has
// read all of it: one that is still on its way may have more to say.
func quiet(t *testing.T, opts []kgo.Opt) {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	w, err := streams.NewWatcher(streams.Config{Topology: top, Partitions: partitions, Client: opts})
	check(t, err)
	defer w.Close()
	cl, err := kgo.NewClient(opts...)
	check(t, err)
	defer cl.Close()
	began, last, since := time.Now(), int64(-1), time.Now()
	for {
		unread, err := w.Look(t.Context())
		check(t, err)
		unread = slices.DeleteFunc(unread, func(b streams.Behind) bool { return b.Records == 0 })
		ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context())
		check(t, err)
		sum := int64(0)
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		if sum != last {
			last, since = sum, time.Now()
		}
		switch {
		case time.Since(since) >= 5*time.Second && len(unread) == 0: // what is younger than cursors may be is not told
			return
		case time.Since(began) > time.Minute:
			t.Fatalf("not quiet after a minute, the log grew %v ago, unread: %v", time.Since(since), unread)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// examine audits what is left of the platform, which has stopped.
func (l *load) examine(t *testing.T, log []kgo.Opt, o *outside, open func(service string) (streams.Store, error)) *audit.Report {
	t.Helper()
	top, err := shop.Business.Topology()
	check(t, err)
	in := audit.Input{Business: shop.Business, Acknowledged: l.acknowledged, Input: verify.Input{Topology: top, Partitions: partitions, Stores: map[string]streams.Store{}, Settled: true, Decide: true, Client: log}}
	for _, s := range top.Services {
		store, err := open(s.Name)
		check(t, err)
		defer store.Close()
		in.Stores[s.Name] = store
	}
	o.ledgers(t, &in)
	if in.Complete, err = untrimmed(t.Context(), in.Client); err != nil {
		t.Fatal(err)
	}
	if !in.Complete && *kills <= 20 {
		t.Error("the log was trimmed: the load is too large for a full comparison")
	}
	r, err := audit.Check(t.Context(), in)
	check(t, err)
	t.Logf("%d orders acknowledged, %d requests sent again, %d made twice at once, cancellations: %v, log complete: %v\n%s",
		len(l.acknowledged), l.repeated, l.doubled, l.refused, in.Complete, r)
	return r
}

func untrimmed(ctx context.Context, opts []kgo.Opt) (bool, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return false, err
	}
	defer cl.Close()
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx)
	if err != nil {
		return false, fmt.Errorf("the start of the log: %w", err)
	}
	whole := true
	starts.Each(func(o kadm.ListedOffset) { whole = whole && o.Offset == 0 })
	return whole, nil
}
