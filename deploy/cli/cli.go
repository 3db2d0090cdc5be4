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

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/logs"
	"github.com/weirstream/weir/streams/business"
)

// Exit codes, which --help tells too.
const (
	exitOK          = 0
	exitBad         = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitInterrupted = 130
)

const exitCodes = `Exit codes: 0 all is well; 1 what was asked about is not, or something failed; 2 the
call is wrong; 3 what had to be asked cannot be reached, or does not know now; 130
interrupted.`

// App is the command of a business.
type App struct {
	Business *business.Business
	Load     *Load // nil: it takes no files
}

// Main runs the command line and returns the exit code.
func (weir App) Main(args []string, stdout, stderr io.Writer) int {
	// The first Ctrl-C drains; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	root := weir.rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.InitDefaultCompletionCmd()
	checkUsage(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "weir:", config.Hide(err.Error()))
	var usage usageError
	var away unreachable
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &away):
		return exitUnreachable
	}
	return exitBad
}

func (weir App) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "weir",
		Short: "Run, watch and inspect an event-driven business",
		Long: `Weir runs a business of stream processors, and shows what happens in it.

Begin with "weir dev": everything in this process, nothing to install.

` + exitCodes + `

Commands that ask a running weir take its address from --url, or ` + urlVariable + `.`,
		Version:      version() + ", " + runtime.Version(),
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetVersionTemplate("weir {{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(weir.devCommand(), weir.runCommand(), weir.topologyCommand(), weir.dashboardsCommand(), weir.alertsCommand(), weir.sloCommand(), metricsCommand(), weir.faultCommand(), unitCommand(), weir.laneCommand(), weir.storeCommand(), weir.dlqCommand(), sagaCommand(), weir.askCommand(), weir.analyticsCommand(), weir.backfillCommand(), weir.configCommand(), weir.kafkaCommand(), logsCommand(), versionCommand())
	if weir.Business.Customer != nil {
		root.AddCommand(weir.simulateCommand())
	}
	if len(weir.endpoints()) > 0 {
		root.AddCommand(weir.outsideCommand())
	}
	if weir.Load != nil {
		root.AddCommand(weir.loadCommand())
	}
	return root
}

// checkUsage makes wrong arguments and unknown commands usage errors, all the
// way down.
func checkUsage(c *cobra.Command) {
	if c.HasSubCommands() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		}
	} else if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if args(c, given) == nil {
				return nil
			}
			return usagef("%s %s, and was given %s. See %[1]s --help", c.CommandPath(), wanted(c), told(given))
		}
	}
	for _, sub := range c.Commands() {
		checkUsage(sub)
	}
}

func unknownCommand(c *cobra.Command, given string) error {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return usagef("unknown command %q%s. See %s --help", given, didYouMean(given, names), c.CommandPath())
}

// wanted says which arguments a command takes, by the names in its usage line.
func wanted(c *cobra.Command) string {
	if _, names, some := strings.Cut(c.Use, " "); some {
		return "wants " + names
	}
	return "takes no arguments"
}

func told(given []string) string {
	if len(given) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", given)
}

// usageError is a call that cannot be right, whatever the state of the world.
type usageError struct{ error }

// unreachable is an answer that could not be had.
type unreachable struct{ error }

func (u unreachable) Unwrap() error { return u.error }

func (u usageError) Unwrap() error { return u.error }

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
			return fmt.Errorf("choose from %s%s", strings.Join(allowed, ", "), didYouMean(s, allowed))
		}
		chosen = s
		return nil
	})
	complete(c, "output", allowed...)
	return &chosen
}

// complete has the shell offer a flag's values.
func complete(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there
	}
}

// oneOf refuses a value that is none of those allowed.
func oneOf(what, given string, allowed ...string) error {
	if slices.Contains(allowed, given) {
		return nil
	}
	return usagef("%s %q: choose from %s%s", what, given, strings.Join(allowed, ", "), didYouMean(given, allowed))
}

// list is how every command prints a list as JSON.
type list[T any] struct {
	Items []T  `json:"items"`
	More  bool `json:"more"` // than these, which --limit cut off
}

func printList[T any](w io.Writer, items []T, more bool) error {
	return printJSON(w, list[T]{append([]T{}, items...), more})
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
			return replaceFile(*out, logs.Template())
		}
		_, err := c.OutOrStdout().Write(logs.Template())
		return err
	}
	c.AddCommand(template)
	return c
}
