package rebuild

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
)

// ErrTwice says that events of a file seem to be on the log as well.
var ErrTwice = errors.New("these events seem to be in analytics already")

// keysAtOnce are asked for with one query.
const keysAtOnce = 500

// once refuses events of keys of which the live tables have events of the same types from
// the log: what services have lived through, and a file tells as well, would count twice.
func (l *Load) once(ctx context.Context, events []projection.Event) error {
	if l.Twice {
		return nil
	}
	keys := map[string][]string{}
	for i := range events {
		e := &events[i]
		keys[e.Type] = append(keys[e.Type], e.Key)
	}
	for _, typ := range slices.Sorted(maps.Keys(keys)) {
		slices.Sort(keys[typ])
		all := slices.Compact(keys[typ])
		var there []string
		for some := range slices.Chunk(all, keysAtOnce) {
			args := []any{typ}
			for _, k := range some {
				args = append(args, k)
			}
			r, err := l.Live.Select(ctx, "SELECT DISTINCT `key` FROM `"+analytics.EventsTable+"` WHERE `type` = ? AND `_block` > 0 AND `key` IN (?"+strings.Repeat(", ?", len(some)-1)+")", args, 0)
			if err != nil {
				return fmt.Errorf("whether the file's events are there already is not known: %w", err)
			}
			for _, row := range r.Rows {
				k, _ := row[0].(string)
				there = append(there, k)
			}
		}
		if slices.Sort(there); len(there) > 0 {
			return fmt.Errorf("%w: of %d keys of %s that were looked at, %d have one from the log, %s among them, and would count twice. Take the file into an analytics of its own; or, if both happened, run this again with --accept-twice",
				ErrTwice, len(all), typ, len(there), there[0])
		}
	}
	return nil
}
