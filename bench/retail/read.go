// Package retail is real trade to try the platform with: a week of invoices of
// a British wholesaler, dirty as they are. README.md names its source and the
// rules by which invoices become orders.
package retail

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weirstream/weir/services/event"
)

// Currency of all prices of the data set.
const Currency = "GBP"

// File is what a data file holds.
type File struct {
	Orders               []Order // in the order of their first lines
	InvoicesWithoutLines int     // invoices of which no line can be sold, cancellations aside
	LinesUnsellable      int     // quantity or price not above 0, cancellations aside
	Cancellations        int     // invoices that take an earlier sale back
	CancellationLines    int
	Malformed            int
	Uncountable          int      // amounts beyond what can be counted
	Split                []Split  // invoices whose number another has
	Unused               []Unused // every line that is in no order, in the file's order
}

// Order is an invoice that can be sold.
type Order struct {
	ID       string // the invoice's number, or that and more if another has it too
	Invoice  string
	Customer string    // "guest-<invoice>" where the file has none
	Date     time.Time // zero where the file's cannot be read
	Country  string
	Lines    []Line
	Total    event.Money
}

// Line is a sold line and where it stands in the file, from 1.
type Line struct {
	Number   int
	SKU      string
	Quantity int64
	Price    event.Money // of one
}

// Unused is a line that is in no order.
type Unused struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Split is an invoice of another customer or another day under a number that is
// taken: a sale of its own, with an id of its own.
type Split struct {
	Line    int    `json:"line"` // the first
	Invoice string `json:"invoice"`
	Order   string `json:"order"`
	Reason  string `json:"reason"`
}

var header = []string{"InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"}

// row is a line that has its fields.
type row struct {
	number                                int
	invoice, sku, date, customer, country string
	quantity, pence                       int64
}

// invoice gathers the rows of one number, customer and day.
type invoice struct {
	order   Order
	cancels bool
}

// reader is a file half read.
type reader struct {
	file     File
	invoices map[string][]*invoice // by number
	sequence []*invoice
	total    event.Money // of all that is sold
}

// longestLine is in bytes.
const longestLine = 1 << 20

// Read reads a data file. A line that cannot be used is reported, and spoils
// no other; an error means that the file as a whole is none of this data set.
func Read(r io.Reader) (File, error) {
	in := reader{invoices: map[string][]*invoice{}, total: event.Money{Currency: Currency}}
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		text, whole, err := readLine(lines)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return File{}, fmt.Errorf("the data file cannot be read: %w", err)
		}
		switch {
		case n == 1 && strings.TrimPrefix(text, "\ufeff") != strings.Join(header, ","):
			return File{}, fmt.Errorf("line 1 is %.80q: a file of Online Retail begins with %q", text, strings.Join(header, ","))
		case n == 1:
		case !whole:
			in.malformed(n, fmt.Errorf("the line is longer than %d bytes", longestLine))
		default:
			in.line(n, text)
		}
	}
	if in.file.Orders = in.orders(); len(in.file.Orders) == 0 {
		return File{}, errors.New("the data file has no line that can be sold")
	}
	return in.file, nil
}

// line takes one line. Lines are read one by one, as no field of the data set
// spans two: a quote that is never closed would else swallow the rest.
func (in *reader) line(n int, text string) {
	r, err := parse(n, text)
	if err != nil {
		in.malformed(n, err)
		return
	}
	v := in.invoice(r)
	switch {
	case v.cancels:
		in.file.CancellationLines++
		in.unused(n, "cancellation: invoice "+r.invoice+" takes an earlier sale back")
	case r.quantity <= 0:
		in.file.LinesUnsellable++
		in.unused(n, fmt.Sprintf("unsellable: quantity %d is not above 0", r.quantity))
	case r.pence <= 0:
		in.file.LinesUnsellable++
		in.unused(n, "unsellable: the price is not above 0")
	default:
		if err := in.sell(v, r); err != nil {
			in.file.Uncountable++
			in.unused(n, "uncountable: "+err.Error())
		}
	}
}

// readLine reads a line without its end. Of one that is too long nothing is kept.
func readLine(r *bufio.Reader) (text string, whole bool, err error) {
	var b []byte
	whole = true
	for {
		part, more, err := r.ReadLine()
		if err != nil {
			return "", false, err
		}
		if whole = whole && len(b)+len(part) <= longestLine; whole {
			b = append(b, part...)
		} else {
			b = nil
		}
		if !more {
			return strings.TrimSuffix(string(b), "\r"), whole, nil
		}
	}
}

func (in *reader) malformed(n int, err error) {
	in.file.Malformed++
	in.unused(n, "malformed: "+err.Error())
}

func (in *reader) unused(n int, reason string) {
	in.file.Unused = append(in.file.Unused, Unused{n, reason})
}

// invoice finds a row's invoice, or begins it. Numbers are given out anew: what has
// another customer, or another day, is another sale.
func (in *reader) invoice(r row) *invoice {
	same := in.invoices[r.invoice]
	day := date(r.date)
	for _, v := range same {
		if o := &v.order; (o.Customer == "" || r.customer == "" || o.Customer == r.customer) && (o.Date.IsZero() || day.IsZero() || sameDay(o.Date, day)) {
			if o.Customer == "" {
				o.Customer = r.customer
			}
			return v
		}
	}
	v := &invoice{cancels: strings.HasPrefix(r.invoice, "C"), order: Order{ID: r.invoice, Invoice: r.invoice, Customer: r.customer, Country: r.country,
		Date: day, Total: event.Money{Currency: Currency}}}
	in.invoices[r.invoice] = append(same, v)
	in.sequence = append(in.sequence, v)
	if len(same) > 0 && !v.cancels {
		in.split(v, &same[0].order, r)
	}
	return v
}

// split gives an invoice an id that says more than its number, and the same whenever
// it is loaded.
func (in *reader) split(v *invoice, first *Order, r row) {
	parts := []string{r.invoice}
	if r.customer != "" {
		parts = append(parts, r.customer)
	}
	if !v.order.Date.IsZero() {
		parts = append(parts, v.order.Date.Format(time.DateOnly))
	}
	v.order.ID = strings.Join(parts, "-")
	in.file.Split = append(in.file.Split, Split{r.number, r.invoice, v.order.ID, fmt.Sprintf("the number is that of an invoice for %s of %s too",
		cmp.Or(first.Customer, "nobody"), first.Date.Format(time.DateOnly))})
}

func sameDay(a, b time.Time) bool { return a.Format(time.DateOnly) == b.Format(time.DateOnly) }

func (in *reader) orders() (out []Order) {
	for _, v := range in.sequence {
		switch {
		case v.cancels:
			in.file.Cancellations++
		case len(v.order.Lines) == 0:
			in.file.InvoicesWithoutLines++
		default:
			if v.order.Customer == "" {
				v.order.Customer = "guest-" + v.order.ID
			}
			out = append(out, v.order)
		}
	}
	return out
}

// sell adds a line to its order. An amount that makes the order's total, or that of
// the file, more than can be counted is refused.
func (in *reader) sell(v *invoice, r row) error {
	price := event.Money{Minor: r.pence, Currency: Currency}
	amount, err := price.Times(r.quantity)
	if err != nil {
		return err
	}
	total, err := in.total.Plus(amount) // which is at least that of the order
	if err != nil {
		return fmt.Errorf("with this line the file's total is more than can be counted: %w", err)
	}
	in.total = total
	v.order.Total.Minor += amount.Minor
	v.order.Lines = append(v.order.Lines, Line{r.number, r.sku, r.quantity, price})
	return nil
}

func parse(n int, text string) (row, error) {
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1
	f, err := c.Read()
	if errors.Is(err, io.EOF) {
		return row{}, errors.New("the line is empty")
	}
	if err != nil {
		return row{}, errors.Unwrap(err) // without csv's own line number
	}
	if len(f) != len(header) {
		return row{}, fmt.Errorf("%d of %d fields: the line is cut off or damaged", len(f), len(header))
	}
	r := row{number: n, invoice: strings.TrimSpace(f[0]), sku: strings.TrimSpace(f[1]), date: f[4], customer: strings.TrimSpace(f[6]), country: f[7]}
	if r.invoice == "" || r.sku == "" {
		return row{}, errors.New("the line names no invoice or no stock code")
	}
	for _, text := range []string{r.invoice, r.sku, r.customer, r.country} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return row{}, errors.New("a field has control characters, or is no UTF-8")
		}
	}
	if r.quantity, err = strconv.ParseInt(f[3], 10, 64); err != nil {
		return row{}, fmt.Errorf("quantity %q is not a whole number", f[3])
	}
	if r.pence, err = pence(f[5]); err != nil {
		return row{}, err
	}
	return r, nil
}

// pence reads "2.5", "2.55" or "2" exactly: no float stands between.
func pence(s string) (int64, error) {
	whole, part, _ := strings.Cut(s, ".")
	if whole == "" || len(part) > 2 || strings.ContainsAny(part, "+-") {
		return 0, fmt.Errorf("price %q is not of pounds and pence", s)
	}
	n, err := strconv.ParseInt(whole+(part + "00")[:2], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("price %q is not of pounds and pence", s)
	}
	return n, nil
}

// date reads an invoice's date, American and without a zone; zero if it is none.
func date(s string) time.Time {
	for _, layout := range []string{"1/2/06 15:04", "1/2/2006 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
