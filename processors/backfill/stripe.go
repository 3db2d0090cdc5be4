package backfill

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// stripe is a column of a Parquet file.
type stripe struct {
	name    string // without the groups that only make a list of what they hold
	index   int
	lists   int // that it is in
	defined int // the level from which on a list has an element
	text    func(parquet.Value) string
	values  []string // of the row: one, or those of its list's elements

	pages  parquet.Pages
	page   parquet.Page
	reader parquet.ValueReader
	buffer [256]parquet.Value
	at, n  int
}

// leaves are the columns that hold values, with the names that mappings call them by.
func leaves(c *parquet.Column, name string, lists int) (out []*stripe) {
	if c.Leaf() {
		return []*stripe{{name: name, index: c.Index(), lists: lists, text: textOf(c.Type())}}
	}
	for _, child := range c.Columns() {
		called := strings.TrimPrefix(name+"."+child.Name(), ".")
		if inner, ok := element(child); ok {
			for _, s := range leaves(inner, called, lists+1) {
				s.defined = child.Columns()[0].MaxDefinitionLevel()
				out = append(out, s)
			}
			continue
		}
		n := lists
		if child.Repeated() {
			n++
		}
		for _, s := range leaves(child, called, n) {
			if child.Repeated() {
				s.defined = child.MaxDefinitionLevel()
			}
			out = append(out, s)
		}
	}
	return out
}

// element is what a group of three levels is a list of.
func element(c *parquet.Column) (*parquet.Column, bool) {
	if c.Leaf() || c.Type().LogicalType() == nil || len(c.Columns()) != 1 {
		return nil, false
	}
	_, isList := c.Type().LogicalType().Value.(*format.ListType)
	repeated := c.Columns()[0]
	if !isList || !repeated.Repeated() || repeated.Leaf() || len(repeated.Columns()) != 1 {
		return nil, false
	}
	return repeated.Columns()[0], true
}

func (s *stripe) begin(c parquet.ColumnChunk) error {
	if err := s.end(); err != nil {
		return err
	}
	s.pages = c.Pages()
	return nil
}

func (s *stripe) end() (err error) {
	s.release()
	if s.pages != nil {
		err = s.pages.Close()
	}
	s.pages, s.reader, s.at, s.n = nil, nil, 0, 0
	return err
}

// record reads the values of a row.
func (s *stripe) record() error {
	s.values = s.values[:0]
	for {
		v, err := s.peek()
		switch {
		case errors.Is(err, io.EOF) && len(s.values) == 0:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(s.values) > 0 && v.RepetitionLevel() == 0:
			return nil
		}
		s.at++
		if s.lists > 0 && v.DefinitionLevel() < s.defined {
			return nil // an empty list is one value that there is not
		}
		cell := ""
		if !v.IsNull() {
			cell = s.text(v)
		}
		if s.values = append(s.values, cell); s.lists == 0 {
			return nil
		}
		if len(s.values) > maxElements {
			return fmt.Errorf("a list has more than %d elements", maxElements)
		}
	}
}

// maxElements bounds the list of a row.
const maxElements = 1 << 20

func (s *stripe) peek() (v parquet.Value, err error) {
	for s.at >= s.n {
		if s.reader == nil {
			s.release()
			if s.page, err = s.pages.ReadPage(); err != nil {
				return v, err
			}
			s.reader = s.page.Values()
		}
		s.at = 0
		s.n, err = s.reader.ReadValues(s.buffer[:])
		if errors.Is(err, io.EOF) {
			s.reader = nil // the last values of its page are in the buffer
		} else if err != nil {
			return v, err
		}
	}
	return s.buffer[s.at], nil
}

func (s *stripe) release() {
	if s.page != nil {
		parquet.Release(s.page)
	}
	s.page = nil
}

// textOf writes values of a type as a CSV file would.
func textOf(t parquet.Type) func(parquet.Value) string {
	var logical format.LogicalTypeValue
	if l := t.LogicalType(); l != nil {
		logical = l.Value
	}
	switch l := logical.(type) {
	case *format.DecimalType:
		return func(v parquet.Value) string { return decimalText(unscaled(v), int(l.Scale)) }
	case *format.DateType:
		return func(v parquet.Value) string {
			return time.Unix(0, 0).UTC().AddDate(0, 0, int(v.Int32())).Format(time.DateOnly)
		}
	case *format.TimestampType:
		if l.Unit.Value == nil {
			break
		}
		layout := "2006-01-02T15:04:05.999999999" // of some clock on a wall
		if l.IsAdjustedToUTC {
			layout = time.RFC3339Nano
		}
		per := int64(time.Second / l.Unit.Value.Duration())
		unit := int64(l.Unit.Value.Duration())
		return func(v parquet.Value) string {
			return time.Unix(v.Int64()/per, v.Int64()%per*unit).UTC().Format(layout)
		}
	case *format.IntType:
		if !l.IsSigned {
			return func(v parquet.Value) string {
				if v.Kind() == parquet.Int32 {
					return strconv.FormatUint(uint64(v.Uint32()), 10)
				}
				return strconv.FormatUint(v.Uint64(), 10)
			}
		}
	case *format.UUIDType:
		return func(v parquet.Value) string {
			b := v.ByteArray()
			if len(b) != 16 {
				return string(b)
			}
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		}
	}
	return plainText
}

func plainText(v parquet.Value) string {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.FormatBool(v.Boolean())
	case parquet.Int32:
		return strconv.FormatInt(int64(v.Int32()), 10)
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case parquet.Int96: // a time as it once was written: the nanoseconds of a Julian day
		n := v.Int96()
		const epoch = 2440588
		return time.Unix((int64(n[2])-epoch)*86400, int64(uint64(n[1])<<32|uint64(n[0]))).UTC().Format(time.RFC3339Nano)
	case parquet.Float:
		return strconv.FormatFloat(float64(v.Float()), 'f', -1, 32)
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'f', -1, 64)
	}
	return string(v.ByteArray())
}

// unscaled are the digits of a decimal.
func unscaled(v parquet.Value) *big.Int {
	switch v.Kind() {
	case parquet.Int32:
		return big.NewInt(int64(v.Int32()))
	case parquet.Int64:
		return big.NewInt(v.Int64())
	}
	b := v.ByteArray()
	if len(b) <= 8 && len(b) > 0 {
		var whole [8]byte
		copy(whole[8-len(b):], b)
		if b[0]&0x80 != 0 {
			for i := range 8 - len(b) {
				whole[i] = 0xff
			}
		}
		return big.NewInt(int64(binary.BigEndian.Uint64(whole[:])))
	}
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// decimalText writes a number of ten to the power of minus scale.
func decimalText(n *big.Int, scale int) string {
	digits, sign := n.String(), ""
	if digits[0] == '-' {
		digits, sign = digits[1:], "-"
	}
	if scale <= 0 || scale > 1000 {
		return sign + digits
	}
	digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
