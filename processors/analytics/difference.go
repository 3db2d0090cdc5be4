package analytics

import (
	"fmt"
	"slices"
	"time"
)

// What may be wrong with rows.
const (
	Missing = "missing" // an event has no row
	Doubled = "doubled" // an event has its row more than once
	Altered = "altered" // a row is there instead of an event's, and says something else
	Unknown = "unknown" // a row is of no event
	Strange = "strange" // rows are not those that were written, and the log no longer has the events
	Ledger  = "ledger"  // what was written is not what the log has
	Rollup  = "rollup"  // an hour's count or checksum is not that of its rows
)

// Difference is something that is not as it was written.
type Difference struct {
	Found     time.Time `json:"found"`
	Kind      string    `json:"kind"`
	Table     string    `json:"table"`
	Block     int64     `json:"block,omitempty"` // none of an hour
	Topic     string    `json:"topic,omitempty"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`         // of the event, or of the first that it may be
	Last      int64     `json:"last,omitempty"` // of the last that it may be
	ID        string    `json:"id,omitempty"`   // of the event
	Detail    string    `json:"detail,omitempty"`
}

// Key tells differences apart.
func (d *Difference) Key() string {
	return fmt.Sprintf("%s\x00%s\x00%d\x00%s\x00%d\x00%d\x00%s\x00%s", d.Kind, d.Table, d.Block, d.Topic, d.Partition, d.Offset, d.ID, d.Detail)
}

// String is a sentence.
func (d Difference) String() string {
	at := ""
	if d.Kind == Rollup {
		at = " of " + d.Topic
	} else if d.Topic != "" {
		at = fmt.Sprintf(" of %s/%d@%d", d.Topic, d.Partition, d.Offset)
		if d.Last > d.Offset {
			at = fmt.Sprintf(" of %s/%d@%d to %d", d.Topic, d.Partition, d.Offset, d.Last)
		}
	}
	what := map[string]string{Missing: "the row%s is missing", Doubled: "the row%s is there more than once", Altered: "the row%s says something else",
		Unknown: "a row%s is of no event", Strange: "rows%s are not those that were written", Ledger: "what was written%s is not what the log has",
		Rollup: "the hour%s is counted wrong"}[d.Kind]
	s := d.Table + ": " + fmt.Sprintf(what, at)
	if d.Detail != "" {
		s += ": " + d.Detail
	}
	return s
}

// differ names the rows of a table that are not what events make of it.
func differ(block int64, want *Rows, have []RowSum) (out []Difference) {
	row := map[uint64]int{}
	for i, s := range want.sums {
		row[s] = i
	}
	times := make([]int, want.N)
	var strange []RowSum
	for _, s := range have {
		if i, ours := row[s.Checksum]; ours {
			times[i]++
		} else {
			strange = append(strange, s)
		}
	}
	of := func(kind string, i int) {
		e := &want.events[want.from[i]]
		out = append(out, Difference{Kind: kind, Table: want.Table.Name, Block: block, Topic: e.Topic, Partition: e.Partition, Offset: e.Offset, ID: e.ID})
	}
	whose := want.whose()
	for i := range want.N {
		switch {
		case row[want.sums[i]] != i: // one that is the same
		case times[i] > 1:
			of(Doubled, i)
		case times[i] == 0:
			at := slices.IndexFunc(strange, func(s RowSum) bool { return s.Key == whose(i).Key && s.Sequence == whose(i).Sequence })
			if at < 0 {
				of(Missing, i)
				continue
			}
			strange = slices.Delete(strange, at, at+1)
			of(Altered, i)
		}
	}
	for _, s := range strange {
		out = append(out, Difference{Kind: Unknown, Table: want.Table.Name, Block: block, Detail: fmt.Sprintf("%q, number %d of its lane", s.Key, s.Sequence)})
	}
	return out
}

// whose says whose a row is.
func (r *Rows) whose() func(row int) RowSum {
	key, sequence := r.Table.Whose()
	at := func(name string) int {
		return slices.IndexFunc(r.Table.Columns, func(c Column) bool { return c.Name == name })
	}
	k, s := at(key), at(sequence)
	return func(row int) RowSum { return RowSum{r.sums[row], r.Cols[k].Text[row], r.Cols[s].Whole[row]} }
}
