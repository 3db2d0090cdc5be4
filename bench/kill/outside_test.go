package kill

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/services/shipping/carrier"
)

// outside is the world that outlives the victim, and remembers.
type outside struct {
	providerURL, carrierURL, mailboxURL, mailboxAddr string
}

// trouble is how bad the world is: one in ten payments is declined, and about
// one call in ten fails, is lost after it took effect, or answers too late.
var trouble = sim.Faults{Seed: 7, Refuse: map[string]float64{provider.Declined: 0.10, provider.CaptureFailed: 0.03, carrier.Refused: 0.10}, Errors: 0.05, Lost: 0.03, Late: 0.02, LateMS: 2500, LatencyMS: 2, JitterMS: 20}

func newOutside(t testing.TB, f sim.Faults) *outside {
	t.Helper()
	payments, err := sim.New(provider.Endpoint, sim.Config{Faults: f})
	check(t, err)
	parcels, err := sim.New(carrier.Endpoint, sim.Config{Faults: f})
	check(t, err)
	mailbox, err := sim.NewMailbox(sim.Config{Faults: f})
	check(t, err)
	o := &outside{providerURL: serve(t, payments), carrierURL: serve(t, parcels), mailboxURL: serve(t, mailbox)}
	l := listen(t)
	o.mailboxAddr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- mailbox.Serve(l) }()
	t.Cleanup(func() {
		if err := mailbox.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	return o
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	return l
}

func serve(t testing.TB, s sim.Simulated) string {
	t.Helper()
	l := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Serve(ctx, l, s, io.Discard) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// mend ends all faults.
func (o *outside) mend(t testing.TB) {
	t.Helper()
	for _, url := range []string{o.providerURL, o.carrierURL, o.mailboxURL} {
		status, body := call(http.MethodPost, url+"/faults", "", []byte(`{"seed":7,"refuse":{"declined":0.10,"refused":0.10}}`))
		if status != http.StatusOK {
			t.Fatalf("%s/faults: %d %s", url, status, body)
		}
	}
}

// ledgers reads what the outside world says happened.
func (o *outside) ledgers(t testing.TB, in *audit.Input) {
	t.Helper()
	in.Ledgers = map[string]json.RawMessage{}
	for endpoint, url := range map[string]string{"provider": o.providerURL, "carrier": o.carrierURL, "mailbox": o.mailboxURL} {
		status, body := call(http.MethodGet, url+"/ledger", "", nil)
		if status != http.StatusOK {
			t.Fatalf("%s/ledger: %d %s", url, status, body)
		}
		in.Ledgers[endpoint] = body
	}
}
