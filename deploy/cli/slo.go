package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/spf13/cobra"

	"github.com/weirstream/weir/alerts"
)

func (weir App) sloCommand() *cobra.Command {
	c := &cobra.Command{Use: "slo", Short: "Show how the objectives stand, and stop a pipeline that has no budget",
		Long: `Ask Prometheus how the objectives stand: how much of each error budget is left, and
how fast it burns. Without --prometheus that is the one in a running weir dev.`}
	cl, at := urlFlag(c), ""
	c.PersistentFlags().Var(webURL(&at), "prometheus", "address of another Prometheus (default: that of the running weir)")
	server := func() (string, error) {
		if at != "" {
			return at, nil
		}
		base, err := cl.base()
		return base + "/prometheus", err
	}
	c.AddCommand(weir.sloStatus(server), weir.sloGate(server))
	return c
}

// objectiveNames are those of all objectives.
func (weir App) objectiveNames() (names []string) {
	s, err := weir.businessAlerts(alerts.DefaultRunbooks)
	if err != nil {
		return nil // statuses says why
	}
	for _, o := range s.SLOs {
		names = append(names, o.ID())
	}
	return names
}

func (weir App) completeObjectives(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return weir.objectiveNames(), cobra.ShellCompDirectiveNoFileComp
}

// prometheusAt is the interface of a Prometheus.
func prometheusAt(url string) (prometheus.API, error) {
	if err := isURL("--prometheus", url); err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: url, RoundTripper: http.DefaultTransport})
	if err != nil {
		return nil, usagef("--prometheus %q: %v", url, err)
	}
	return prometheus.NewAPI(client), nil
}

// statuses asks how the objectives stand, or those that are named.
func (weir App) statuses(ctx context.Context, server func() (string, error), names []string) ([]alerts.Status, error) {
	s, err := weir.businessAlerts(alerts.DefaultRunbooks)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if !slices.ContainsFunc(s.SLOs, func(o *alerts.SLO) bool { return o.ID() == n }) {
			return nil, usagef("there is no objective %q%s: see weir slo status", n, didYouMean(n, weir.objectiveNames()))
		}
	}
	if len(names) > 0 {
		s.SLOs = slices.DeleteFunc(s.SLOs, func(o *alerts.SLO) bool { return !slices.Contains(names, o.ID()) })
	}
	url, err := server()
	if err != nil {
		return nil, err
	}
	client, err := prometheusAt(url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	all, err := s.Statuses(ctx, client)
	if err != nil {
		return nil, unreachable{fmt.Errorf("%w. Is weir dev running, or is Prometheus elsewhere (--prometheus)?", err)}
	}
	return all, nil
}

func (weir App) sloStatus(server func() (string, error)) *cobra.Command {
	c := &cobra.Command{Use: "status [OBJECTIVE...]", ValidArgsFunction: weir.completeObjectives, Short: "Show every objective, those with the least budget first"}
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, args []string) error {
		all, err := weir.statuses(c.Context(), server, args)
		if err != nil {
			return err
		}
		slices.SortStableFunc(all, func(a, b alerts.Status) int {
			switch {
			case a.NoData != b.NoData:
				return map[bool]int{true: 1, false: -1}[a.NoData]
			case a.Remaining < b.Remaining:
				return -1
			case a.Remaining > b.Remaining:
				return 1
			}
			return strings.Compare(a.ID(), b.ID())
		})
		if *out == "json" {
			return printList(c.OutOrStdout(), shownStatuses(all), false)
		}
		return printStatuses(c.OutOrStdout(), all)
	}
	return c
}

func printStatuses(w io.Writer, all []alerts.Status) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "OBJECTIVE\tPROMISED\tBUDGET LEFT\tOF\tBURNS NOW\tBAD EVENTS\t")
	for _, s := range all {
		if s.NoData {
			fmt.Fprintf(t, "%s\t%v %%\tno data\t\t\t\t\n", s.ID(), s.Objective)
			continue
		}
		// A young server knows minutes of its 30 days, and judges by them.
		of := alerts.Span(min(s.Known, s.Period).Round(time.Minute))
		fmt.Fprintf(t, "%s\t%v %%\t%s\t%s\t%.2f ×\t%.3f %%\t\n", s.ID(), s.Objective, s.Left(), of, s.Burn, 100*s.Ratio)
	}
	return t.Flush()
}

// shownStatus is an objective in JSON. Shares are of 1.
type shownStatus struct {
	ID        string  `json:"id"`
	Owner     string  `json:"owner"`
	Objective float64 `json:"objective_percent"`
	Period    string  `json:"period"`
	NoData    bool    `json:"no_data"`
	Remaining float64 `json:"budget_remaining"`
	Burn      float64 `json:"burn_rate"`
	Ratio     float64 `json:"error_ratio"`
	Known     float64 `json:"known_seconds"` // of the period
}

func shownStatuses(all []alerts.Status) []shownStatus {
	out := make([]shownStatus, len(all))
	for i, s := range all {
		out[i] = shownStatus{s.ID(), s.Owner, s.Objective, alerts.Span(s.Period), s.NoData, s.Remaining, s.Burn, s.Ratio, s.Known.Seconds()}
	}
	return out
}

func (weir App) sloGate(server func() (string, error)) *cobra.Command {
	var least float64
	var unknown bool
	c := &cobra.Command{Use: "gate [OBJECTIVE...]", ValidArgsFunction: weir.completeObjectives, Short: "Exit with 1 if an objective has too little budget left",
		Long: `For pipelines: exit with 0 if every objective, or each that is named, has at least so
much of its error budget left, and more than nothing; with 1 if one has less, and
say which; with 3 if that cannot be said, as Prometheus does not answer or has no
data of an objective; with 2 if the call is wrong. With --unknown, objectives of which
there are no data are let pass.`,
		Example: `  weir slo gate --at-least 10                        # percent of the budget, of all
  weir slo gate gateway-availability read-model-freshness  # of these, anything above 0`}
	numberFlag(c, &least, "at-least", 0, 100, "percent of the budget that must be left, up to 100")
	c.Flags().BoolVar(&unknown, "unknown", false, "let objectives pass of which there are no data")
	c.RunE = func(c *cobra.Command, args []string) error {
		all, err := weir.statuses(c.Context(), server, args)
		if err != nil {
			return err
		}
		known := slices.DeleteFunc(slices.Clone(all), func(s alerts.Status) bool { return s.NoData })
		if unknown {
			err = alerts.Gate(known, least/100)
		} else {
			err = alerts.Gate(all, least/100)
		}
		if err != nil && !errors.Is(err, alerts.ErrBudget) {
			return unreachable{err} // it can say neither yes nor no
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), passed(len(known), len(all), least/100))
		return err
	}
	return c
}

func passed(known, all int, least float64) string {
	if known == 0 {
		return fmt.Sprintf("nothing is known of %d objectives, and they are let pass", all)
	}
	s := fmt.Sprintf("%d of %d objectives have %s of their budgets left", known, all, alerts.Needs(least))
	if known < all {
		s += "; nothing is known of the others, and they are let pass"
	}
	return s
}
