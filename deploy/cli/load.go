package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/bench/retail"
)

func loadCommand() *cobra.Command {
	o := retail.Options{}
	c := &cobra.Command{
		Use: "load FILE.csv", Args: cobra.ExactArgs(1),
		Short: "Place the invoices of an online-retail file as orders",
		Long: `Post every invoice of an online-retail file as an order, wait until each is
closed, and report every line that was not used and why. It can be interrupted
and started again: orders that are there stay as they are.`,
		Example: "  weir load bench/retail/online_retail_2010-12.csv",
	}
	cl := urlFlag(c)
	out := output(c, "table", "json")
	numberFlag(c, &o.Rate, "rate", 0, 100_000, "orders per second (default: as fast as they are taken)")
	o.Concurrency = 16
	wholeFlag(c, &o.Concurrency, "concurrency", 1, 1000, "orders under way at once")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.File, o.URL, o.Progress = args[0], *cl.url, c.ErrOrStderr()
		r, err := retail.Load(c.Context(), o)
		if r.Orders == 0 && err != nil {
			return err
		}
		if *out == "json" {
			if e := printJSON(c.OutOrStdout(), r); e != nil {
				return e
			}
			return err
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintf(t, "orders\t%d\nlines\t%d\nconfirmed\t%d\nconfirmed total\t%d.%02d %s\ncancelled\t%d\n", r.Orders, r.Lines, r.Confirmed,
			r.ConfirmedTotalMinor/100, r.ConfirmedTotalMinor%100, r.Currency, r.Cancelled)
		fmt.Fprintf(t, "invoices without a sellable line\t%d\nunsellable lines\t%d\ncancellation invoices\t%d (%d lines)\nmalformed lines\t%d\n",
			r.InvoicesWithoutLines, r.LinesUnsellable, r.Cancellations, r.CancellationLines, r.Malformed)
		if e := t.Flush(); e != nil {
			return e
		}
		for _, u := range r.Unused {
			fmt.Fprintf(c.OutOrStdout(), "line %d not used: %s\n", u.Line, u.Reason)
		}
		return err
	}
	return c
}
