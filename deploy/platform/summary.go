package platform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/verify"
)

// settleTime bounds how long a run that is over waits for what is under way.
const settleTime = 20 * time.Second

// summary prints what the run did, and fails if its books do not balance.
func (p *platform) summary(ctx context.Context) error {
	p.customers()
	p.probes() // or a saga of its own begins on the log after that was read
	settled := p.settle(ctx)
	if err := p.printCounts(ctx); err != nil {
		return err
	}
	in := audit.Input{Input: verify.Input{Topology: p.topology, Partitions: p.Config.Partitions, Stores: p.stores, Client: p.kafka, Settled: settled}, Business: p.Business}
	var err error
	if in.Ledgers, err = sim.Ledgers(p.outside.simulated); err != nil { // of those that run elsewhere there are none here
		return err
	}
	report, err := audit.Check(ctx, in)
	if err != nil {
		return fmt.Errorf("the books cannot be audited: %w", err)
	}
	fmt.Fprintln(p.Out, report)
	standing, err := p.standing(ctx)
	if err != nil {
		return err
	}
	if !settled {
		fmt.Fprintf(p.Out, "sagas were under way still, %s after the end: what holds once all are over was not asked\n%s", settleTime, standing)
	}
	if !report.OK() || standing != "" {
		return ErrInvariant
	}
	return nil
}

// standing tells of each service the first of its inputs that are parked: they wait for a
// person, however long anybody waits for sagas to end.
func (p *platform) standing(ctx context.Context) (out string, err error) {
	for _, s := range p.topology.Services {
		l, err := p.letters(ctx, s.Name, streams.StreamID{}, letterPage{limit: maxLetters})
		if err != nil {
			return "", err
		}
		if len(l.DeadLetters) == 0 {
			continue
		}
		n, first := fmt.Sprint(len(l.DeadLetters)), l.DeadLetters[0]
		if l.Next != "" {
			n += " or more"
		}
		out += fmt.Sprintf("parked at %s: %s, the first of %s %q: %s\n", s.Name, n, first.Decider, first.Key, first.Reason)
	}
	return out, nil
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

// printCounts tells how many there are of what goes through states.
func (p *platform) printCounts(ctx context.Context) error {
	fmt.Fprintf(p.Out, "ran %s", time.Since(p.began).Round(time.Second))
	for _, v := range p.Business.Views() {
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
		fmt.Fprintf(p.Out, ": %d %s", all, strings.ReplaceAll(v.Name, "_", " "))
		for _, s := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(p.Out, ", %d %s", counts[s], s)
		}
	}
	fmt.Fprintln(p.Out)
	return nil
}
