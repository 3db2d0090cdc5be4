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
	for _, unit := range slices.Sorted(maps.Keys(have)) {
		if strings.HasPrefix(unit, lanePrefix+service+"/") && have[unit].Incarnation != info.Incarnation {
			if err := forgetControl(ctx, client, unit); err != nil {
				return err
			}
		}
	}
	return writeControl(ctx, client, service, controlRecord{Partitions: have[platformUnit].Partitions, Incarnation: info.Incarnation})
}

func forgetControl(ctx context.Context, opts []kgo.Opt, unit string) error {
	cl, err := kgo.NewClient(controlProducer(opts)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: ControlTopic, Key: []byte(unit)}).FirstErr(); err != nil {
		return fmt.Errorf("removing %s from %s: %w", unit, ControlTopic, err)
	}
	return nil
}

// Renewed is a cursor as it is under its store's next incarnation: it has written
// to no topic yet.
func (c *Cursor) Renewed() *Cursor {
	n := c.Clone()
	n.Sent = map[Target]int64{}
	return n
}
