package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/config/probe"
)

func (weir App) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Show the configuration, and check what it names",
		Long: `The configuration is weir.yaml in this directory, or the file that --config
names, and what the environment says otherwise:

  ` + strings.Join(config.Variables(), "\n  ") + `
  WEIR_OUTSIDE_ENDPOINT, of each endpoint: ` + strings.Join(weir.endpoints(), ", ") + `

An address that is empty means the part that is embedded in weir.`}
	c.AddCommand(configShow(), weir.configCheck())
	return c
}

func configShow() *cobra.Command {
	c := &cobra.Command{Use: "show", Args: cobra.NoArgs, Short: "Print the configuration in force, without its secrets"}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		b, err := yaml.Marshal(cfg)
		if err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(b)
		return err
	}
	return c
}

func (weir App) configCheck() *cobra.Command {
	c := &cobra.Command{Use: "check", Args: cobra.NoArgs, Short: "Connect to everything, and print what answers, in which version, and what is missing",
		Long: `Connect to every server that the configuration names. "Missing" is what units
will make when they start; a problem is for you to mend, and the exit code is 1.`}
	out, path := output(c, "table", "json"), configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		t, err := weir.Business.Topology()
		if err == nil {
			err = cfg.CheckOutside(weir.Business.Endpoints())
		}
		if err != nil {
			return err
		}
		rows := probe.All(c.Context(), &cfg, t, weir.Business.Endpoints())
		hidden := config.Hiding(c.OutOrStdout())
		if *out == "json" {
			err = printList(hidden, rows, false)
		} else {
			err = printRows(hidden, rows)
		}
		err = errors.Join(err, cfg.CheckFiles())
		for i := range rows {
			if !rows[i].OK() {
				err = errors.Join(err, fmt.Errorf("%s is not as the configuration says", rows[i].What))
			}
		}
		return err
	}
	return c
}

func printRows(w io.Writer, rows []probe.Row) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tADDRESS\tANSWERS\tVERSION\tMISSING")
	for _, r := range rows {
		answers, address := "yes", r.Address
		if !r.Answers {
			answers = "no"
		}
		if address == "" {
			answers, address = "-", "(embedded)"
			if r.What == "clickhouse" || r.What == "otlp" || r.What == "prometheus" || r.What == "jaeger" || r.What == "alertmanager" {
				address = "(none)"
			}
		}
		missing := strings.Join(r.Missing, ", ")
		if len(r.Missing) > 2 {
			missing = fmt.Sprintf("%s and %d more", r.Missing[0], len(r.Missing)-1)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.What, address, answers, r.Version, missing)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		for _, p := range r.Problems {
			fmt.Fprintf(w, "\n%s: %s\n", r.What, p)
		}
	}
	return nil
}
