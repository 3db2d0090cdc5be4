package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams/verify"
)

// settleTime bounds how long a run that is over waits for what is under way.
const settleTime = 20 * time.Second

// summary prints what the run did, and fails if its books do not balance.
func (p *platform) summary(ctx context.Context) error {
	p.shoppers()
	p.probes() // or an order of its own is on the log after that was read
	settled := p.settle(ctx)
	if err := p.printCounts(ctx); err != nil {
		return err
	}
	in := audit.Input{Input: verify.Input{Topology: p.topology, Partitions: p.Config.Partitions, Stores: p.stores,
		Client: p.kafka, Settled: settled}}
	if err := p.ledgers(&in); err != nil {
		return err
	}
	report, err := audit.Check(ctx, in)
	if err != nil {
		return fmt.Errorf("the books cannot be audited: %w", err)
	}
	fmt.Fprintln(p.Out, report)
	if !report.OK() {
		return ErrInvariant
	}
	return nil
}

func (p *platform) ledgers(in *audit.Input) error {
	for name, into := range map[string]any{provider: &in.Provider, carrier: &in.Carrier, mailbox: &in.Mailbox} {
		if err := p.ledger(name, into); err != nil {
			return err
		}
	}
	return nil
}

// ledger reads a simulated server's books; one that runs elsewhere has none here.
func (p *platform) ledger(name string, into any) error {
	h, ok := p.outside.simulated[name]
	if !ok {
		return nil
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ledger", nil))
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		return fmt.Errorf("ledger of the %s: %w", name, err)
	}
	return nil
}

// settle waits until no saga is under way, and tells whether it came to that.
func (p *platform) settle(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; quiet < 5; { // in the read model, and a moment longer in the stores
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
		running, err := p.reads.InFlight(ctx, time.Now(), 1)
		if quiet++; err != nil || running.Sagas > 0 {
			quiet = 0
		}
	}
	return true
}

// printCounts tells how many documents there are in each state, of the views that have
// states.
func (p *platform) printCounts(ctx context.Context) error {
	said := "ran " + time.Since(p.began).Round(time.Second).String()
	for _, v := range p.business.Views() {
		if len(v.States) == 0 {
			continue
		}
		counts, err := p.reads.Counts(ctx, v)
		if err != nil {
			return err
		}
		var all int64
		for _, n := range counts {
			all += n
		}
		said += fmt.Sprintf(": %d %s", all, v.Name)
		for _, state := range slices.Sorted(maps.Keys(counts)) {
			said += fmt.Sprintf(", %d %s", counts[state], state)
		}
	}
	fmt.Fprintln(p.Out, said)
	return nil
}
