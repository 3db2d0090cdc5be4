package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/streams/telemetry"
)

func metricsCommand() *cobra.Command {
	c := &cobra.Command{Use: "metrics", Args: cobra.NoArgs, Short: "Print the catalogue of all metrics",
		Long: `Print every metric that the platform has: its name, type, unit, labels and what it
says. They are at /metrics of every process.`}
	out := output(c, "md", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *out == "json" {
			return printList(c.OutOrStdout(), telemetry.Catalogue, false)
		}
		return printMetrics(c.OutOrStdout())
	}
	return c
}

func printMetrics(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n")
	for _, m := range telemetry.Catalogue {
		help := m.Help
		if len(m.Buckets) > 0 {
			help += fmt.Sprintf(" Buckets: %s.", strings.Trim(fmt.Sprint(m.Buckets), "[]"))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, m.Unit, strings.Join(m.Labels, ", "), help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
