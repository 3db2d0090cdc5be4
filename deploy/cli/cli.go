// Package cli is the weir command.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command line and returns the exit code: 0 if it went well, 1
// if something failed, 2 if it was called wrongly.
func Main(args []string, stdout, stderr io.Writer) int {
	// The first Ctrl-C drains; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := &cobra.Command{
		Use:   "weir",
		Short: "Run, watch and inspect an event-driven business",
		Long: `Weir runs a business of stream processors, and shows what happens in it.

Begin with "weir dev": everything in this process, nothing to install.`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w. See %s --help", err, c.CommandPath())}
	})
	root.AddCommand(devCommand(), runCommand(), topologyCommand(), dlqCommand(), sagaCommand(), loadCommand(), simulateCommand(), versionCommand())
	checkUsage(root)
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

// logger writes for a person on a terminal, and JSON for a machine.
func logger(w io.Writer, level string, asJSON bool) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q: use debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// printJSON writes one indented JSON value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// output adds the -o flag and checks it.
func output(c *cobra.Command, allowed ...string) *string {
	return c.Flags().StringP("output", "o", allowed[0], fmt.Sprintf("how to print: %v", allowed))
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		version, revision := "devel", ""
		if i, ok := debug.ReadBuildInfo(); ok {
			if v := i.Main.Version; v != "" && v != "(devel)" {
				version = v
			}
			for _, s := range i.Settings {
				if s.Key == "vcs.revision" {
					revision = " " + s.Value[:min(12, len(s.Value))]
				}
			}
			fmt.Fprintf(c.OutOrStdout(), "weir %s%s, %s\n", version, revision, i.GoVersion)
		}
		return nil
	}}
}
