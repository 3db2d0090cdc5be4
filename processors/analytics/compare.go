package analytics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// onTheirWay is how old the last block may be while a table has no row of it: they come,
// or come when its writer is back.
const onTheirWay = 45 * time.Second

// look compares blocks with their rows, and, if it is to be read, with the log. It answers
// how many of them could be compared: all, or all but the last, whose rows may be on their
// way.
func (r *Reconciler) look(ctx context.Context, blocks []Written, log bool) (n int, err error) {
	first, last := blocks[0].Number, blocks[len(blocks)-1].Number
	sums, err := r.Store.Sums(ctx, first, last)
	if err != nil {
		return 0, err
	}
	var made map[int64]*Block
	if log {
		if made, err = r.made(ctx, blocks); err != nil {
			return 0, err
		}
	}
	for i := range blocks {
		b := &blocks[i]
		whole, err := r.compare(ctx, b, sums[b.Number], made[b.Number])
		if err != nil {
			return 0, err
		}
		if whole {
			n++
		}
		delete(sums, b.Number)
	}
	var strange []Difference
	for number, tables := range sums {
		for table, s := range tables {
			strange = append(strange, Difference{Kind: Unknown, Table: table, Block: number, Detail: fmt.Sprintf("%d rows of a block that nobody wrote", s.Rows)})
		}
	}
	r.settle(ctx, strange, func(d *Difference) bool {
		return d.Kind == Unknown && d.Detail != "" && d.Block >= first && d.Block <= last
	})
	return n, nil
}

// compare looks at one block, and answers whether all of it could be.
func (r *Reconciler) compare(ctx context.Context, b *Written, have map[string]Sum, made *Block) (whole bool, err error) {
	var found []Difference
	if made != nil {
		found = ledger(b, made.Sums())
	}
	var wrong []string
	for _, t := range r.Schema.Tables {
		if have[t.Name] != b.Tables[t.Name] && !r.gone(t, b) {
			wrong = append(wrong, t.Name)
		}
	}
	whole = true
	if len(wrong) > 0 {
		next, err := r.Store.Blocks(ctx, b.Number, 1)
		if err != nil {
			return false, err
		}
		if n := len(wrong); len(next) == 0 && r.Now().Sub(b.At) < onTheirWay {
			// A table gets its rows of a block at once. One that has some has all that will come.
			wrong = slices.DeleteFunc(wrong, func(table string) bool { return have[table].Rows == 0 })
			whole = len(wrong) == n
		}
		if made == nil && b.Number > 0 && len(wrong) > 0 {
			all, err := r.made(ctx, []Written{*b})
			if err != nil {
				return false, err
			}
			made = all[b.Number]
		}
	}
	for _, table := range wrong {
		d, err := r.locate(ctx, b, table, made)
		if err != nil {
			return false, err
		}
		found = append(found, d...)
	}
	r.settle(ctx, found, func(d *Difference) bool { return d.Block == b.Number && d.Kind != Rollup })
	return whole, nil
}

// gone tells whether rows of a block may be gone, as they are kept for so long only.
func (r *Reconciler) gone(t *Table, b *Written) bool {
	return r.Keep > 0 && t.View == nil && (b.Number < 0 || b.At.Before(r.Now().Add(-r.Keep+24*time.Hour)))
}

// ledger compares what a block says with what the log makes of it.
func ledger(b *Written, made map[string]Sum) (out []Difference) {
	names := slices.Sorted(maps.Keys(b.Tables))
	for name := range made {
		if _, ok := b.Tables[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if s := b.Tables[name]; s != made[name] {
			for _, rg := range b.Ranges {
				out = append(out, Difference{Kind: Ledger, Table: name, Block: b.Number, Topic: rg.Topic, Partition: rg.Partition, Offset: rg.From, Last: rg.Next - 1,
					Detail: fmt.Sprintf("block %d has %d rows there, the log makes %d", b.Number, s.Rows, made[name].Rows)})
			}
		}
	}
	return out
}

// locate names the rows of a table that are wrong; by their block alone if the log no
// longer has it.
func (r *Reconciler) locate(ctx context.Context, b *Written, table string, made *Block) (out []Difference, err error) {
	if made == nil {
		for _, rg := range b.Ranges {
			out = append(out, Difference{Kind: Strange, Table: table, Block: b.Number, Topic: rg.Topic, Partition: rg.Partition, Offset: rg.From, Last: rg.Next - 1})
		}
		return out, nil
	}
	t, _ := r.Schema.Table(table)
	want := NewRows(t)
	for _, rows := range made.Tables {
		if rows.Table == t {
			want = rows
		}
	}
	have, err := r.Store.RowSums(ctx, table, b.Number)
	if err != nil {
		return nil, err
	}
	return differ(b.Number, want, have), nil
}
