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
  weir unit restart projection
  weir unit accept projection`}
	cl := urlFlag(c)
	c.AddCommand(unitList(cl), unitChange(cl, "restart", "Try a halted unit again, once its cause is gone", "", "is tried again"),
		unitChange(cl, "accept", "Let the halted read model go on without events that the log has lost",
			`Let the read model (projection) go on that is halted at a hole: events of a lane are
neither on the log nor in an event store, as those of a stranger that wrote there.
What they said is missing from the rows for good, and a note says so. Restore the
topic, or start the read model where the event stores are, if anybody has the events;
to go on once they are back is weir unit restart.`, "goes on without them"))
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

// unitChange asks for a change of a unit, by a name that the process has.
func unitChange(cl client, verb, short, long, done string) *cobra.Command {
	return &cobra.Command{Use: verb + " UNIT", Short: short, Long: long, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var l platform.Units
		if err := cl.call(c.Context(), http.MethodGet, "/v1/units", &l); err != nil {
			return err
		}
		var names []string
		for _, u := range l.Items {
			names = append(names, u.Unit)
		}
		if err := oneOf("unit", args[0], names...); err != nil {
			return err
		}
		var u platform.UnitState
		if err := cl.call(c.Context(), http.MethodPost, "/v1/units/"+url.PathEscape(args[0])+"/"+verb, &u); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s. Whether it runs: weir unit ls\n", u.Unit, done)
		return err
	}}
}
