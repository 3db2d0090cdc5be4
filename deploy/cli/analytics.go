package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
)

func (weir App) analyticsCommand() *cobra.Command {
	c := &cobra.Command{Use: "analytics", Short: "Show or make the tables of analytics, and prove them",
		Long: `The tables of analytics follow from the business: every public event, the data of each
type in columns, what events say of documents, and the events of each saga. weir makes
them in a ClickHouse that has none of them. A later change of the business is applied
here: tables and columns are added, and nothing is ever taken away.

What they hold is compared with the log all the time; weir_analytics_differences counts
what differs. reconcile compares all of it now.`}
	c.AddCommand(weir.analyticsPlan(), weir.analyticsApply(), analyticsReconcile())
	return c
}

func (weir App) analyticsPlan() *cobra.Command {
	c := &cobra.Command{Use: "plan", Args: cobra.NoArgs, Short: "Print the statements that make what ClickHouse lacks",
		Long: `Print the statements that make what the ClickHouse of the configuration lacks. With
--all print everything that there has to be, and connect to nothing: for a cluster
with clickhouse.cluster, replicated tables and those that read all shards.`}
	path, out, all := configFlag(c), output(c, "table", "json"), c.Flags().Bool("all", false, "print all statements; connects to nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, cfg, err := weir.clickhouse(*path, *all)
		if err != nil {
			return err
		}
		defer s.Close()
		var steps []clickhouse.Step
		if *all {
			for _, st := range s.Statements() {
				steps = append(steps, clickhouse.Step{SQL: st.SQL, Why: st.Table})
			}
		} else if steps, err = s.Plan(c.Context()); err != nil {
			return fromClickHouse(cfg, err)
		}
		if *out == "json" {
			return printList(c.OutOrStdout(), steps, false)
		}
		for _, st := range steps {
			fmt.Fprintf(c.OutOrStdout(), "-- %s\n%s;\n", st.Why, st.SQL)
		}
		if len(steps) == 0 {
			fmt.Fprintln(c.ErrOrStderr(), "nothing is missing")
		}
		return nil
	}
	return c
}

func (weir App) analyticsApply() *cobra.Command {
	c := &cobra.Command{Use: "apply", Args: cobra.NoArgs, Short: "Make what ClickHouse lacks; plan shows it first"}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, cfg, err := weir.clickhouse(*path, false)
		if err != nil {
			return err
		}
		defer s.Close()
		steps, err := s.Plan(c.Context())
		if err == nil {
			err = s.Apply(c.Context(), steps)
		}
		if err != nil {
			return fromClickHouse(cfg, err)
		}
		fmt.Fprintf(c.OutOrStdout(), "%d statements were run. The writer goes on with: weir unit restart analytics\n", len(steps))
		return nil
	}
	return c
}

// clickhouse opens the store that the configuration names; it is not connected to yet.
func (weir App) clickhouse(path string, any bool) (*clickhouse.Store, *config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	url := cfg.ClickHouse.URL.Reveal()
	if url == "" && any {
		url = "http://127.0.0.1:8123"
	}
	if url == "" {
		return nil, nil, errors.New("the configuration names no clickhouse.url: analytics is kept in a file then, which weir looks after itself")
	}
	t, err := weir.Business.Topology()
	if err != nil {
		return nil, nil, err
	}
	schema, err := analytics.NewSchema(weir.Business, t)
	if err != nil {
		return nil, nil, err
	}
	s, err := clickhouse.Open(url, schema, clickhouse.Layout{Cluster: cfg.ClickHouse.Cluster, KeepDays: cfg.HistoryDays})
	return s, &cfg, err
}

func fromClickHouse(cfg *config.Config, err error) error {
	return unreachable{fmt.Errorf("ClickHouse at %s: %w", cfg.ClickHouse.URL, err)}
}

func analyticsReconcile() *cobra.Command {
	c := &cobra.Command{Use: "reconcile", Args: cobra.NoArgs, Short: "Compare all of analytics with the log, now",
		Long: `Compare every row of analytics with what was written, and with the log as far as that
goes back, and every hour with its rows. What differs is named by its place on the log.
It goes on in the weir that is asked, also if this command is interrupted: call it again
to see how far it is.

The exit code is 1 if anything differs.`}
	cl, out := urlFlag(c), output(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var r platform.Reconciliation
		if err := cl.call(c.Context(), http.MethodPost, platform.ReconcilePath, &r); err != nil {
			return err
		}
		err := waiting(c.Context(), c.ErrOrStderr(), "comparing", func(say func(string)) error {
			return reconciled(c.Context(), cl, &r, say)
		})
		if err != nil {
			return err
		}
		if *out == "json" {
			if err := printJSON(c.OutOrStdout(), r); err != nil {
				return err
			}
		} else if r.Error == "" || len(r.Differences) > 0 {
			if err := printDifferences(c, r.Differences); err != nil {
				return err
			}
		}
		switch {
		case r.Error != "":
			return unreachable{errors.New(r.Error)}
		case len(r.Differences) > 0:
			return fmt.Errorf("analytics differs from the log in %d places", len(r.Differences))
		}
		return nil
	}
	return c
}

// reconciled follows a comparison to its end.
func reconciled(ctx context.Context, cl client, r *platform.Reconciliation, say func(string)) error {
	for r.Running {
		if r.Of > 0 {
			say(fmt.Sprintf("block %d of %d ", r.Done, r.Of))
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := cl.call(ctx, http.MethodGet, platform.ReconcilePath, r); err != nil {
			return err
		}
	}
	return nil
}

func printDifferences(c *cobra.Command, all []analytics.Difference) error {
	if len(all) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "analytics is what the log says")
		return nil
	}
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "TABLE\tWHAT\tBLOCK\tTOPIC\tPARTITION\tOFFSET\tEVENT\tDETAIL")
	for _, d := range all {
		partition, offset := strconv.Itoa(int(d.Partition)), strconv.FormatInt(d.Offset, 10)
		if d.Last > d.Offset {
			offset += " to " + strconv.FormatInt(d.Last, 10)
		}
		if d.Topic == "" || d.Kind == analytics.Rollup {
			partition, offset = "-", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", d.Table, d.Kind, d.Block, Printable(d.Topic), partition, offset, Printable(d.ID), Printable(d.Detail))
	}
	return t.Flush()
}
