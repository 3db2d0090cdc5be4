package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/deploy/platform/practice"
)

func (weir App) faultCommand() *cobra.Command {
	c := &cobra.Command{Use: "fault", Short: "Break something on purpose in a running weir dev, and mend it",
		Long: `Switch labelled faults of a running weir dev on and off, to see what they look like
on the live page and the boards, which alerts they set off, and what the runbook
says. Nothing is lost by any of them: when weir dev ends, it mends them and drains.`,
		Example: `  weir fault ls
  weir fault on provider-down     # then look at http://127.0.0.1:8080
  weir fault off provider-down`}
	cl := urlFlag(c)
	c.AddCommand(faultList(cl), weir.faultTurn(cl, "on", "Break something"), weir.faultTurn(cl, "off", "Mend it"))
	return c
}

func faultList(cl client) *cobra.Command {
	c := &cobra.Command{Use: "ls", Args: cobra.NoArgs, Short: "List the faults, what each does, and which alerts it sets off"}
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var l platform.Faults
		if err := cl.call(c.Context(), http.MethodGet, "/v1/faults", &l); err != nil {
			return err
		}
		if *out == "json" {
			return printList(c.OutOrStdout(), l.Faults, false)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "FAULT\tON\tWHAT IT DOES\tALERTS")
		for _, f := range l.Faults {
			on := "-"
			if f.On {
				on = "for " + time.Since(f.Since).Round(time.Second).String()
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.Name, on, f.What, strings.Join(f.Alerts, ", "))
		}
		return t.Flush()
	}
	return c
}

func (weir App) faultTurn(cl client, verb, short string) *cobra.Command {
	var names []string
	for _, f := range practice.All(weir.Business) {
		names = append(names, f.Name)
	}
	return &cobra.Command{Use: verb + " FAULT", Short: short, Args: cobra.ExactArgs(1), ValidArgs: names, RunE: func(c *cobra.Command, args []string) error {
		if err := oneOf("fault", args[0], names...); err != nil {
			return err
		}
		var l platform.Faults
		if err := cl.call(c.Context(), http.MethodPost, "/v1/faults/"+url.PathEscape(args[0])+"/"+verb, &l); err != nil {
			return err
		}
		for _, f := range l.Faults {
			if f.Name == args[0] && f.On {
				fmt.Fprintf(c.OutOrStdout(), "%s is on. %s %s\nTo fire: %s\n", f.Name, f.What, f.Effect, strings.Join(f.Alerts, ", "))
			} else if f.Name == args[0] {
				fmt.Fprintf(c.OutOrStdout(), "%s is off\n", f.Name)
			}
		}
		return nil
	}}
}
