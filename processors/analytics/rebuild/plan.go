package rebuild

import (
	"context"
	"fmt"
)

// Plan is what a rebuild would do, in the order of it.
type Plan struct {
	Steps  []string `json:"steps"`
	Events int64    `json:"events"` // in the live tables
}

// Plan says what Run would do, and changes nothing.
func (r *Rebuild) Plan(ctx context.Context) (out Plan, err error) {
	b, err := r.Live.Beside(ctx)
	if err != nil {
		return out, err
	}
	if out.Events, err = Events(ctx, r.Live); err != nil {
		return out, err
	}
	add := func(format string, args ...any) { out.Steps = append(out.Steps, fmt.Sprintf(format, args...)) }
	if b.Half {
		add("finish the swap of an earlier run, and nothing else")
		return out, nil
	}
	if b.Shadow {
		add("go on with the tables that an earlier run has begun")
	} else if b.Old {
		add("remove the old tables of the last swap")
	}
	if err := r.planReading(ctx, add); err != nil {
		return out, err
	}
	files, err := Files(ctx, r.Live)
	if err != nil {
		return out, err
	}
	for _, f := range files {
		if f.Whole {
			add("carry over the %d events of %s (%s)", f.Events, f.Name, f.Topic)
		} else {
			add("leave out %s (%s), which is not whole: take it in again afterwards", f.Name, f.Topic)
		}
	}
	add("prove what is written, compare it with the %d events of the live tables, and swap the two; the old ones stay until the next backfill, or --drop-old", out.Events)
	return out, nil
}

// planReading says where the events would come from.
func (r *Rebuild) planReading(ctx context.Context, add func(string, ...any)) error {
	from, to, err := r.log(ctx)
	if err != nil {
		return err
	}
	records, gone := int64(0), int64(0)
	for at, end := range to {
		records, gone = records+end-from[at], gone+from[at]
	}
	stores := "this process has not the event stores of all services"
	if r.Config.Stores != nil {
		stores = "this process has the event stores of all services"
	}
	switch {
	case r.FromStores && r.Config.Stores == nil:
		return errNoStores
	case r.FromStores:
		add("read what services wrote from their event stores, and what came from outside from the log, which has %d records", records)
	case gone == 0:
		add("read the log from its beginning: %d records", records)
	case r.Config.Stores != nil:
		add("read the log: %d records; the %d before them are on it no more, and are read from the event stores (what came from outside among them is lost)", records, gone)
	default:
		add("read the log: %d records; the %d before them are on it no more, and %s: IT WOULD FAIL", records, gone, stores)
	}
	return nil
}
