package analytics

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Checksum is the sum of the rows' checksums, which does not depend on their order.
func (r *Rows) Checksum() (sum uint64) {
	for _, s := range r.sums {
		sum += s
	}
	return sum
}

// Sum is the checksum of one row: xxHash64 over "name=value" of its columns in the sequence
// of their names, each ended by a zero byte; the values of a list end with a byte of 1. Times
// are nanoseconds, money is in ten-thousandths of its currency. What is empty or 0 is left
// out, so that a new column changes no checksum; and so is the number of the block.
func (r *Rows) Sum(row int) uint64 { return r.sums[row] }

// End ends a row, of which every column has got its value.
func (r *Rows) End() {
	r.text = r.text[:0]
	for _, i := range r.order() {
		name, at := r.Table.Columns[i].Name, len(r.text)
		r.text = append(append(r.text, name...), '=')
		with := len(r.text)
		if r.text = r.appendText(r.text, i); len(r.text) == with {
			r.text = r.text[:at]
		} else {
			r.text = append(r.text, 0)
		}
	}
	r.sums = append(r.sums, xxhash.Sum64(r.text))
	r.N++
}

// order are the columns that checksums are of, by their names.
func (r *Rows) order() []int {
	if r.byName == nil {
		for i, c := range r.Table.Columns {
			if c.Name != BlockColumn {
				r.byName = append(r.byName, i)
			}
		}
		slices.SortFunc(r.byName, func(a, b int) int { return strings.Compare(r.Table.Columns[a].Name, r.Table.Columns[b].Name) })
	}
	return r.byName
}

// appendText writes the value of the last row in a column as checksums see it: nothing if it
// is empty or 0.
func (r *Rows) appendText(b []byte, at int) []byte {
	c, v, row := &r.Table.Columns[at], &r.Cols[at], r.N
	switch {
	case c.List:
		return r.appendList(b, at)
	case c.Kind == Text || c.Kind == Word:
		return append(b, v.Text[row]...)
	case c.Kind == Real:
		if v.Real[row] == 0 {
			return b
		}
		return AppendReal(b, v.Real[row])
	case v.Whole[row] == 0:
		return b
	case c.Kind == Amount:
		return AppendScaled(b, v.Whole[row], r.Cols[at+1].Text[row])
	}
	return strconv.AppendInt(b, v.Whole[row], 10)
}

func (r *Rows) appendList(b []byte, at int) []byte {
	c, v, row := &r.Table.Columns[at], &r.Cols[at], r.N
	switch c.Kind {
	case Text, Word:
		for _, s := range v.TextLists[row] {
			b = append(append(b, s...), 1)
		}
	case Amount:
		currencies := r.Cols[at+1].TextLists[row]
		for i, n := range v.Lists[row] {
			currency := "" // of a row that somebody has altered
			if i < len(currencies) {
				currency = currencies[i]
			}
			b = append(AppendScaled(b, n, currency), 1)
		}
	case Real:
		for _, x := range v.RealLists[row] {
			b = append(AppendReal(b, x), 1)
		}
	default:
		for _, n := range v.Lists[row] {
			b = append(strconv.AppendInt(b, n, 10), 1)
		}
	}
	return b
}
