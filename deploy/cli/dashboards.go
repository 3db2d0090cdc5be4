package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/dashboards"
)

// grafanaToken is where the token is, which no flag takes: flags are seen in ps.
const grafanaToken = "WEIR_GRAFANA_TOKEN"

func (weir App) dashboardsCommand() *cobra.Command {
	c := &cobra.Command{Use: "dashboards", Short: "Render, check and push Grafana's boards",
		Long: `The boards follow from the topology, the sagas and the objectives. Nobody draws
one: what is changed by hand in Grafana is lost with the next push.

The rules live in Prometheus: Grafana's list of alerts shows those of the datasource
"prometheus".`}
	at := "http://127.0.0.1:8080"
	live := &at
	c.PersistentFlags().Var(webURL(live), "live", "address of the live page, as a browser reaches it")
	c.AddCommand(weir.dashboardsRender(live), weir.dashboardsLint(live), weir.dashboardsPush(live))
	return c
}

func (weir App) boards(live string) (dashboards.Business, error) {
	t, err := weir.Business.Topology()
	if err != nil {
		return dashboards.Business{}, err
	}
	return dashboards.Business{Business: weir.Business, Topology: t,
		Alerts: alerts.Business(weir.Business, t, alerts.Standard()), Live: live}, nil
}

func (weir App) dashboardsRender(live *string) *cobra.Command {
	c := &cobra.Command{Use: "render", Args: cobra.NoArgs, Short: "Write boards, datasources and folder as Grafana reads them at its start",
		Long: `Write DIR/dashboards/*.json and DIR/provisioning/{datasources,dashboards}/weir.yaml.
Start Grafana with GF_PATHS_PROVISIONING=DIR/provisioning. What an earlier render
wrote and this one does not is removed: boards that are none any more, and alerts
without --alerts. Other files stay as they are.

With --alerts there is DIR/provisioning/alerting/weir.yaml too, and Grafana
evaluates the alerts itself over what Prometheus records: for who has no
Alertmanager. With both, everybody is told twice.`,
		Example: "  weir dashboards render --out /etc/grafana/weir --prometheus http://prometheus:9090"}
	out := c.Flags().String("out", "", "directory to write to")
	at := c.Flags().String("path", "", "where Grafana finds DIR/dashboards, if not there")
	watches := c.Flags().Bool("alerts", false, "let Grafana evaluate the alerts too")
	var s dashboards.Servers
	s.Prometheus, s.Jaeger, s.Elasticsearch = "http://127.0.0.1:9090", "http://127.0.0.1:16686", "http://127.0.0.1:9200"
	c.Flags().Var(webURL(&s.Prometheus), "prometheus", "Prometheus, as Grafana reaches it")
	c.Flags().Var(webURL(&s.Jaeger), "jaeger", "Jaeger's query API, as Grafana reaches it")
	c.Flags().Var(webURL(&s.Elasticsearch), "elasticsearch", "Elasticsearch, as Grafana reaches it")
	c.Flags().Var(webURL(&s.ClickHouse), "clickhouse", "ClickHouse with its database, as Grafana reaches it over HTTP: http://clickhouse:8123/default. Grafana needs its plugin")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *out == "" {
			return usagef("--out is missing: say which directory to write to")
		}
		dir, err := filepath.Abs(*out)
		if err != nil {
			return err
		}
		if *at == "" {
			*at = filepath.Join(dir, "dashboards")
		}
		b, err := weir.boards(*live)
		if err != nil {
			return err
		}
		files, err := dashboards.Files(b, s, *at, *watches)
		if err != nil {
			return err
		}
		return render(c, rendering{dir, ".weir-dashboards"}, files)
	}
	return c
}

func (weir App) dashboardsLint(live *string) *cobra.Command {
	return &cobra.Command{Use: "lint", Args: cobra.NoArgs, Short: "Check boards and their queries; connects to nothing",
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := weir.boards(*live)
			if err != nil {
				return err
			}
			boards, err := dashboards.Boards(b)
			if err != nil {
				return err
			}
			groups, err := b.Alerts.Groups()
			if err != nil {
				return err
			}
			if errs := dashboards.LintAll(boards, dashboards.Known(groups)); len(errs) > 0 {
				return errors.Join(errs...)
			}
			queries := 0
			for _, b := range boards {
				queries += len(dashboards.Queries(b))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d boards with %d queries are sound\n", len(boards), queries)
			return err
		}}
}

func (weir App) dashboardsPush(live *string) *cobra.Command {
	c := &cobra.Command{Use: "push", Args: cobra.NoArgs, Short: "Create or overwrite the boards in a running Grafana, and print what changed",
		Long: `Push the boards into Grafana's folder "Weir". The token of a service account
with the role Editor is read from ` + grafanaToken + `. A version's message ends with
a mark of what the board says, by which the next push knows it again.`,
		Example: "  weir dashboards push --grafana http://127.0.0.1:3000"}
	g := dashboards.Grafana{}
	c.Flags().Var(webURL(&g.URL), "grafana", "address of Grafana")
	message := c.Flags().String("message", "weir dashboards push, "+version(), "for the history of each board")
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if g.URL == "" {
			return usagef("--grafana is missing: say where it is, as in http://127.0.0.1:3000")
		}
		g.Token = os.Getenv(grafanaToken)
		b, err := weir.boards(*live)
		if err != nil {
			return err
		}
		boards, err := dashboards.Boards(b)
		if err != nil {
			return err
		}
		changes, err := g.Push(c.Context(), boards, *message)
		if err != nil && g.Token == "" {
			err = fmt.Errorf("%w (%s is empty)", err, grafanaToken)
		}
		var away dashboards.Unreachable
		if errors.As(err, &away) {
			err = unreachable{err}
		}
		return errors.Join(printChanges(c, *out, changes), err)
	}
	return c
}

func printChanges(c *cobra.Command, form string, changes []dashboards.Change) error {
	if form == "json" {
		return printList(c.OutOrStdout(), changes, false)
	}
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, change := range changes {
		fmt.Fprintf(t, "%s\t%s\tversion %d\n", change.What, change.Board, change.Version)
	}
	return t.Flush()
}
