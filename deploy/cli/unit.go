package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/platform"
)

func unitCommand() *cobra.Command {
	c := &cobra.Command{Use: "unit", Short: "See how the units of a process are, and start a halted one again",
		Long: `A process of weir has units: services, the writer of the read model (projection),
and what works beside them. Each stands and falls alone: what passes is tried
again, what does not halts it, and it says what and the cure.`,
		Example: `  weir unit ls
  weir unit restart projection`}
	cl := urlFlag(c)
	c.AddCommand(unitList(cl), unitRestart(cl))
	return c
}

func unitList(cl client) *cobra.Command {
	c := &cobra.Command{Use: "ls", Args: cobra.NoArgs, Short: "List the units of a process, and why one does not run"}
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var l platform.Units
		if err := cl.call(c.Context(), http.MethodGet, "/v1/units", &l); err != nil {
			return err
		}
		if *out == "json" {
			return printList(c.OutOrStdout(), l.Items, false)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "UNIT\tSTATE\tFOR\tBECAUSE")
		for _, u := range l.Items {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", u.Unit, u.State, time.Since(u.Since).Round(time.Second), u.Because)
		}
		return t.Flush()
	}
	return c
}

func unitRestart(cl client) *cobra.Command {
	return &cobra.Command{Use: "restart UNIT", Short: "Try a halted unit again, once its cause is gone", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var u platform.UnitState
		if err := cl.call(c.Context(), http.MethodPost, "/v1/units/"+url.PathEscape(args[0])+"/restart", &u); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s is tried again. Whether it runs: weir unit ls\n", u.Unit)
		return err
	}}
}
