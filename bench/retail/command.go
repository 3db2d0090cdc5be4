package retail

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/weirstream/weir/deploy/cli"
)

// Command is weir load, of a business that has such orders.
var Command = cli.Load{Of: "orders", Short: "Place the invoices of an online-retail file as orders",
	Long: `Post every invoice of an online-retail file as an order, wait until each is
closed, and report every line that was not used and why. It can be interrupted
and started again: orders that are there stay as they are.

The exit code is 1 if an order was refused, or a line has an amount that cannot be
counted; lines that cannot be sold are told, and are as they are.`,
	Example:     "  weir load bench/retail/online_retail_2010-12.csv",
	Unreachable: ErrUnreachable,
	Run: func(ctx context.Context, o cli.LoadOptions) (cli.LoadReport, error) {
		r, err := Load(ctx, Options{File: o.File, URL: o.URL, Rate: o.Rate, Concurrency: o.Concurrency, Progress: o.Progress})
		return cli.LoadReport{JSON: r, Print: func(w io.Writer) error { return print(w, r) }, Nothing: r.Orders == 0 || r.NotSent == r.Orders && err != nil}, err
	}}

func print(w io.Writer, r Report) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "orders\t%d\nlines\t%d\nconfirmed\t%d\nconfirmed total\t%d.%02d %s\ncancelled\t%d\n", r.Orders, r.Lines, r.Confirmed,
		r.ConfirmedTotalMinor/100, r.ConfirmedTotalMinor%100, r.Currency, r.Cancelled)
	fmt.Fprintf(t, "invoices without a sellable line\t%d\nunsellable lines\t%d\ncancellation invoices\t%d (%d lines)\nmalformed lines\t%d\n",
		r.InvoicesWithoutLines, r.LinesUnsellable, r.Cancellations, r.CancellationLines, r.Malformed)
	for _, rare := range []struct {
		what string
		n    int
	}{{"lines of amounts beyond counting", r.Uncountable}, {"refused by the gateway", r.Refused}, {"taken, and not closed yet", r.Open},
		{"sent, and not answered", r.Unknown}, {"not sent", r.NotSent}, {"numbers given twice", len(r.Split)}} {
		if rare.n > 0 {
			fmt.Fprintf(t, "%s\t%d\n", rare.what, rare.n)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range r.Split {
		fmt.Fprintf(w, "line %d: invoice %s is another sale, order %s: %s\n", s.Line, s.Invoice, s.Order, s.Reason)
	}
	for _, u := range r.Unused {
		fmt.Fprintf(w, "line %d not used: %s\n", u.Line, cli.Printable(u.Reason))
	}
	return nil
}
