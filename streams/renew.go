package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// StoreOf is the incarnation of a service's store that the platform knows; ok is
// false if the service has never started.
func StoreOf(ctx context.Context, client []kgo.Opt, service string) (incarnation string, ok bool, err error) {
	have, err := readControl(ctx, client)
	if err != nil {
		return "", false, fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	c, ok := have[service]
	return c.Incarnation, ok, nil
}

// AcceptStore makes a store the one that the platform knows as a service's. What
// was known of the lanes of the one before is forgotten. The service must not run.
func AcceptStore(ctx context.Context, client []kgo.Opt, service string, info StoreInfo) error {
	have, err := readControl(ctx, client)
	if err != nil {
		return fmt.Errorf("reading %s: %w", ControlTopic, err)
	}
	var lanes []string
	for _, unit := range slices.Sorted(maps.Keys(have)) {
		if strings.HasPrefix(unit, lanePrefix+service+"/") && have[unit].Incarnation != info.Incarnation {
			lanes = append(lanes, unit)
		}
	}
	c := controlRecord{Partitions: have[platformUnit].Partitions, Incarnation: info.Incarnation}
	return writeControl(ctx, client, service, c, lanes...)
}

// Renewed is a cursor as it is under its store's next incarnation: it has written
// to no topic yet.
func (c *Cursor) Renewed() *Cursor {
	n := c.Clone()
	n.Sent = map[Target]int64{}
	return n
}
