// Package cli is the weir command.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/logs"
)

// Main runs the command line and returns the exit code: 0 if it went well, 1
// if something failed, 2 if it was called wrongly.
func Main(args []string, stdout, stderr io.Writer) int {
	// The first Ctrl-C drains; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "weir:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "weir:", err)
		return 1
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Run, watch and inspect an event-driven business",
		Long: `Weir runs a business of stream processors, and shows what happens in it.

Begin with "weir dev": everything in this process, nothing to install.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w. See %s --help", err, c.CommandPath())}
	})
	root.AddCommand(devCommand(), runCommand(), topologyCommand(), dashboardsCommand(), alertsCommand(), sloCommand(), metricsCommand(), faultCommand(), unitCommand(), dlqCommand(), sagaCommand(), loadCommand(), simulateCommand(), configCommand(), kafkaCommand(), logsCommand(), versionCommand())
	checkUsage(root)
	return root
}

// checkUsage makes wrong arguments and unknown commands usage errors, all the
// way down.
func checkUsage(c *cobra.Command) {
	if c.HasSubCommands() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q. See %s --help", args[0], c.CommandPath())
			}
			return c.Help()
		}
	} else if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usageError{fmt.Errorf("%w. See %s --help", err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkUsage(sub)
	}
}

// usageError is a call that cannot be right, whatever the state of the world.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// printJSON writes one indented JSON value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// output adds the -o flag and checks it.
func output(c *cobra.Command, allowed ...string) *string {
	chosen := allowed[0]
	c.Flags().FuncP("output", "o", fmt.Sprintf("how to print: %v (default %q)", allowed, chosen), func(s string) error {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("choose from %s", strings.Join(allowed, ", "))
		}
		chosen = s
		return nil
	})
	return &chosen
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		_, err := fmt.Fprintf(c.OutOrStdout(), "weir %s, %s\n", version(), runtime.Version())
		return err
	}}
}

func logsCommand() *cobra.Command {
	c := &cobra.Command{Use: "logs", Short: "What Elasticsearch has to know of the log lines"}
	template := &cobra.Command{Use: "template", Args: cobra.NoArgs, Short: "Print the index template, for PUT _index_template/logs-weir"}
	out := template.Flags().String("out", "", "file to write it to instead")
	template.RunE = func(c *cobra.Command, _ []string) error {
		if *out != "" {
			return os.WriteFile(*out, logs.Template(), 0o644)
		}
		_, err := c.OutOrStdout().Write(logs.Template())
		return err
	}
	c.AddCommand(template)
	return c
}
