package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway"
)

func sagaCommand() *cobra.Command {
	c := &cobra.Command{Use: "saga", Short: "List sagas, or show what happened in one"}
	cl := urlFlag(c)
	c.AddCommand(sagaList(cl), sagaShow(cl))
	return c
}

func sagaList(cl client) *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "List sagas, newest first", Args: cobra.NoArgs}
	out := output(c, "table", "json")
	limit := limitFlag(c)
	state := c.Flags().String("state", "", "only those running or ended")
	complete(c, "state", "running", "ended")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *state != "" {
			if err := oneOf("--state", *state, "running", "ended"); err != nil {
				return err
			}
		}
		all, more, err := pages(*limit, func(token string) ([]projection.Saga, string, error) {
			var page projection.Page[projection.Saga]
			err := cl.call(c.Context(), http.MethodGet, "/v1/sagas?"+url.Values{"state": {*state}, "page": {token}}.Encode(), &page)
			return page.Items, page.Next, err
		})
		if err != nil {
			return err
		}
		tellMore(c, len(all), more)
		if *out == "json" {
			return printList(c.OutOrStdout(), all, more)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "CORRELATION\tSAGA\tSTATE\tSTARTED\tTOOK\tEVENTS\tLAST")
		for _, s := range all {
			took := "-"
			if !s.Ended.IsZero() {
				took = s.Ended.Sub(s.Started).Round(time.Millisecond).String()
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", Printable(s.Correlation), s.Name, s.State, s.Started.Format(time.RFC3339), took, s.Events, s.Last)
		}
		return t.Flush()
	}
	return c
}

func sagaShow(cl client) *cobra.Command {
	c := &cobra.Command{Use: "show CORRELATION", Short: "Show every event of a saga, in the order of its times", Args: cobra.ExactArgs(1)}
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		var s gateway.Saga
		if err := cl.call(c.Context(), http.MethodGet, "/v1/sagas/"+url.PathEscape(args[0]), &s); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(c.OutOrStdout(), s)
		}
		for _, g := range s.Sagas {
			fmt.Fprintf(c.OutOrStdout(), "%s %s: %s\n", g.Name, Printable(s.Correlation), g.State)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "AT\tAFTER\tEVENT\tBY\tKEY")
		for _, e := range s.Events {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Time.Format("15:04:05.000"), e.Time.Sub(s.Events[0].Time).Round(time.Millisecond), Printable(e.Type), Printable(e.Source), Printable(e.Key))
		}
		return t.Flush()
	}
	return c
}
