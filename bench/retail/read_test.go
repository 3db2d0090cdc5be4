package retail

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
)

const data = "online_retail_2010-12.csv"

func readData(t *testing.T) File {
	t.Helper()
	f, err := os.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheFactsOfTheFile(t *testing.T) {
	f := readData(t)
	lines, total := 0, event.Money{Currency: Currency}
	for _, o := range f.Orders {
		lines += len(o.Lines)
		var err error
		if total, err = total.Plus(o.Total); err != nil {
			t.Fatal(err)
		}
		if o.Date.IsZero() || o.Customer == "" {
			t.Errorf("invoice %s has date %v, customer %q", o.Invoice, o.Date, o.Customer)
		}
	}
	for what, c := range map[string][2]int{
		"orders":                 {len(f.Orders), 563},
		"lines":                  {lines, 14_296},
		"pence":                  {int(total.Minor), 258_154_28},
		"invoices without lines": {f.InvoicesWithoutLines, 66},
		"unsellable lines":       {f.LinesUnsellable, 124},
		"cancellations":          {f.Cancellations, 70},
		"cancellation lines":     {f.CancellationLines, 174},
		"malformed lines":        {f.Malformed, 1},
		"lines of the file":      {lines + len(f.Unused) + 1, 14_596},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, want %d", what, c[0], c[1])
		}
	}
	first := f.Orders[0]
	want := Line{Number: 2, SKU: "85123A", Quantity: 6, Price: event.Money{Minor: 255, Currency: "GBP"}}
	if first.Invoice != "536365" || first.Customer != "17850" || first.Country != "United Kingdom" || first.Lines[0] != want ||
		!first.Date.Equal(time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC)) {
		t.Errorf("the first order is %+v", first)
	}
	last := f.Unused[len(f.Unused)-1]
	if last.Line != 14_596 || last.Reason != "malformed: 1 of 8 fields: the line is cut off or damaged" {
		t.Errorf("the last line is reported as %+v", last)
	}
}

func TestEveryLineIsSoldOrReported(t *testing.T) {
	f := readData(t)
	seen := map[int]bool{1: true} // the header
	note := func(n int) {
		if seen[n] {
			t.Errorf("line %d is used twice", n)
		}
		seen[n] = true
	}
	for _, o := range f.Orders {
		for _, l := range o.Lines {
			note(l.Number)
		}
	}
	for _, u := range f.Unused {
		note(u.Line)
	}
	for n := 1; n <= 14_596; n++ {
		if !seen[n] {
			t.Errorf("line %d is lost", n)
		}
	}
}

func TestDirtyLines(t *testing.T) {
	head := strings.Join(header, ",") + "\r\n"
	for line, want := range map[string]string{
		`536365,A,"a ""good"" one, really",2,12/1/10 8:26,2.5,17850,United Kingdom`: "",
		`536365,A,x,2,yesterday,2,,`:                "",
		`A1,A,x,2,12/1/2010 8:26,0.01,,`:            "",
		`536365,A,"never closed,2,12/1/10 8:26,1,,`: "malformed: ",
		``:                                                               "malformed: the line is empty",
		`536365,A,x,2,12/1/10 8:26,1,`:                                   "malformed: 7 of 8 fields: the line is cut off or damaged",
		`536365,A,x,2.5,12/1/10 8:26,1,,`:                                `malformed: quantity "2.5" is not a whole number`,
		`536365,A,x,2,12/1/10 8:26,1.005,,`:                              `malformed: price "1.005" is not of pounds and pence`,
		`536365,A,x,2,12/1/10 8:26,1.-5,,`:                               `malformed: price "1.-5" is not of pounds and pence`,
		`536365,A,x,2,12/1/10 8:26,1e3,,`:                                `malformed: price "1e3" is not of pounds and pence`,
		`536365,A,x,2,12/1/10 8:26,,,`:                                   `malformed: price "" is not of pounds and pence`,
		`,A,x,2,12/1/10 8:26,1,,`:                                        "malformed: the line names no invoice or no stock code",
		`536365,A,x,-2,12/1/10 8:26,1,,`:                                 "unsellable: quantity -2 is not above 0",
		`536365,A,x,2,12/1/10 8:26,0,,`:                                  "unsellable: the price is not above 0",
		`536365,A,x,2,12/1/10 8:26,-11062.06,,`:                          "unsellable: the price is not above 0",
		"536365,A\x00,x,2,12/1/10 8:26,1,,":                              "malformed: a field has control characters, or is no UTF-8",
		"536365,A,x,2,12/1/10 8:26,1,\xff,":                              "malformed: a field has control characters, or is no UTF-8",
		"536365,A," + strings.Repeat("x", 2<<20) + ",2,12/1/10 8:26,1,,": "malformed: the line is longer than 1048576 bytes",
		`C536365,A,x,-2,12/1/10 8:26,1,17850,France`:                     "cancellation: invoice C536365 takes an earlier sale back",
	} {
		f, err := Read(strings.NewReader(head + "1,S,x,1,12/1/10 8:26,1,,\r\n" + line + "\r\n1,S,x,1,12/1/10 8:26,1,,\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(f.Unused) > 0 {
			got = f.Unused[0].Reason
		}
		if got != want && (want != "malformed: " || !strings.HasPrefix(got, want)) {
			t.Errorf("%s\n is reported as %q, want %q", line, got, want)
		}
		if o := f.Orders[0]; len(o.Lines) != 2 || o.Customer != "guest-1" {
			t.Errorf("%s\n spoils its neighbours: %+v", line, o)
		}
	}
	for _, bad := range []string{"", "a,b\n", head, head + "x\n"} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken for a data file", bad)
		}
	}
	huge := head + "1,S,x,9223372036854775807,12/1/10 8:26,1,,\n"
	if _, err := Read(strings.NewReader(huge)); err == nil {
		t.Error("a total beyond 64 bits is taken")
	}
}
