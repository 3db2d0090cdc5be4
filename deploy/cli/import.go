package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/spf13/cobra"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/alerts/rulefile"
	"github.com/weirstream/weir/streams/telemetry"
)

func alertsImport(runbooks *string) *cobra.Command {
	c := &cobra.Command{Use: "import FILE...", Args: cobra.MinimumNArgs(1), Short: "Print the rules of objectives in OpenSLO v1 documents",
		Long: `Read OpenSLO v1 documents of kind SLO, whose queries of Prometheus have {{.window}}
for the window, and print rules for Prometheus as of the business's own objectives.
What a document says and the rules could not, and what Prometheus would not load, is
refused. What is probably wrong is told: metrics that nobody knows, and buckets that
Prometheus 3 calls otherwise. With --prometheus that server is asked which metrics
there are.`}
	server := ""
	c.Flags().Var(webURL(&server), "prometheus", "address of a Prometheus to ask which metrics and series there are")
	c.RunE = func(c *cobra.Command, args []string) error {
		s, err := importedSet(args, *runbooks)
		if err != nil {
			return err
		}
		groups, err := s.Groups()
		if err != nil {
			return err
		}
		rules, err := alerts.File(groups)
		if err != nil {
			return err
		}
		if _, err := rulefile.Parse(map[string][]byte{"of " + strings.Join(args, ", "): rules}, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		if err := warn(c.Context(), c.ErrOrStderr(), s, server); err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(rules)
		return err
	}
	return c
}

// importedSet reads the objectives of all files.
func importedSet(files []string, runbooks string) (*alerts.Set, error) {
	s := &alerts.Set{Policy: alerts.Standard(), Runbooks: runbooks}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		slos, period, err := alerts.ReadOpenSLO(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(slos) == 0 {
			return nil, fmt.Errorf("%s holds no OpenSLO document", name)
		}
		if len(s.SLOs) > 0 && period != s.Policy.Period {
			return nil, fmt.Errorf("%s counts over %s, and others over %s: print them one by one", name, alerts.Span(period), alerts.Span(s.Policy.Period))
		}
		for _, o := range slos {
			if _, err := selected(o); err != nil {
				return nil, fmt.Errorf("%s: OpenSLO document %q: %w", name, o.ID(), err)
			}
		}
		s.Policy.Period = period
		s.SLOs = append(s.SLOs, slos...)
	}
	return s, nil
}

// selected is what the queries of an objective select.
func selected(o *alerts.SLO) (out []*parser.VectorSelector, err error) {
	const some = 1234 * time.Second // a window that no query has by itself
	for _, q := range o.Queries {
		window := some
		if !q.Windowed {
			window = 0
		}
		found, bad := rulefile.Query(q.Over(some), window)
		if bad != nil {
			shown := strings.ReplaceAll(strings.TrimSpace(q.Over(some)), alerts.Span(some), "{{.window}}")
			err = errors.Join(err, fmt.Errorf("%s %s: %w", q.Field, shown, bad))
		}
		out = append(out, found...)
	}
	return out, err
}

// warn tells what loads, and is probably not meant.
func warn(ctx context.Context, w io.Writer, s *alerts.Set, server string) error {
	said := map[string]bool{}
	say := func(o *alerts.SLO, text string) {
		if line := "warning: " + o.ID() + ": " + text; !said[line] {
			said[line] = true
			fmt.Fprintln(w, line)
		}
	}
	known, err := knownMetrics(ctx, s, server)
	if err != nil {
		return err
	}
	for _, o := range s.SLOs {
		selectors, err := selected(o)
		if err != nil {
			return err
		}
		for _, sel := range selectors {
			for _, text := range rulefile.Bounds(sel) {
				say(o, text)
			}
			if text := known.doubt(sel, selectors); text != "" {
				say(o, text)
			}
		}
	}
	return nil
}

// metricNames are the names of metrics that somebody knows.
type metricNames struct {
	names  []string
	server string // that was asked, or empty
}

func knownMetrics(ctx context.Context, s *alerts.Set, server string) (metricNames, error) {
	known := metricNames{server: server}
	for _, m := range telemetry.Catalogue {
		known.names = append(known.names, m.Name)
		if m.Kind == telemetry.Histogram {
			known.names = append(known.names, m.Name+"_bucket", m.Name+"_count", m.Name+"_sum")
		}
	}
	groups, err := s.Groups()
	if err != nil {
		return known, err
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			known.names = append(known.names, r.Record)
		}
	}
	if server == "" {
		return known, nil
	}
	client, err := prometheusAt(server)
	if err != nil {
		return known, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	values, _, _, err := client.LabelValues(ctx, "__name__", nil, time.Now().Add(-24*time.Hour), time.Now())
	if err != nil {
		return known, unreachable{fmt.Errorf("no list of metrics from the Prometheus at %s: %w", server, err)}
	}
	for _, v := range values {
		known.names = append(known.names, string(v))
	}
	return known, nil
}

// doubt says why a selector may find nothing. Names of the same document are likely
// to be what was meant by one that is spelt almost alike.
func (k metricNames) doubt(s *parser.VectorSelector, beside []*parser.VectorSelector) string {
	if s.Name == "" || s.Name == "HELPER" || slices.Contains(k.names, s.Name) {
		return ""
	}
	others := map[string]bool{}
	for _, b := range beside {
		others[b.Name] = b.Name != s.Name
	}
	for _, n := range k.names {
		others[n] = true
	}
	delete(others, s.Name)
	meant := didYouMean(s.Name, slices.Sorted(maps.Keys(others)))
	if k.server != "" {
		return fmt.Sprintf("the Prometheus at %s has no metric %s%s. What it does not have is never counted", k.server, s.Name, meant)
	}
	return fmt.Sprintf("%s is no metric of weir%s. Whether another program has it, a Prometheus can tell: --prometheus URL", s.Name, meant)
}
