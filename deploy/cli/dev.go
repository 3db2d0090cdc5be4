package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/dev"
	"github.com/weirstream/weir/services/sagas"
)

func devCommand() *cobra.Command {
	var o dev.Options
	var level string
	var logJSON bool
	c := &cobra.Command{
		Use: "dev", Args: cobra.NoArgs,
		Short: "Run everything in this process, on embedded parts",
		Long: `Run the whole business in this process: the log (it speaks Kafka), the services
with their event stores, the read model, the HTTP interface with a live page,
and a simulated payment provider, carrier and mailbox. Ctrl-C drains and stops;
a second Ctrl-C stops at once.`,
		Example: `  weir dev                                # then open http://127.0.0.1:8080
  weir dev --data ./data                  # keep everything, and go on from there next time
  weir dev --orders-per-second 20 --for 1m   # with shoppers; exit code 1 if the books do not balance`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Rate < 0 || o.For < 0 {
				return usagef("--orders-per-second and --for cannot be negative")
			}
			if o.Partitions < 1 || o.Partitions > 256 {
				return usagef("--partitions %d: choose 1 to 256", o.Partitions)
			}
			var err error
			if o.Log, err = logger(c.ErrOrStderr(), level, logJSON); err != nil {
				return err
			}
			o.Out = c.OutOrStdout()
			dev.Tune()
			return dev.Run(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.HTTP, "http", "127.0.0.1:8080", "address of the HTTP interface and the live page")
	f.StringVar(&o.Kafka, "kafka", "127.0.0.1:9092", "address where the embedded log speaks Kafka")
	f.StringVar(&o.Data, "data", "", "directory to keep everything in (default: a temporary one)")
	f.Int32Var(&o.Partitions, "partitions", 2, "partitions of every topic; cannot be changed for a data directory")
	f.Float64Var(&o.Rate, "orders-per-second", 0, "orders that simulated shoppers place")
	f.DurationVar(&o.For, "for", 0, "run this long, print a summary, and fail if an invariant broke (default: until Ctrl-C)")
	f.StringVar(&o.Provider, "provider", "", "URL of a payment provider to use instead of the simulated one")
	f.StringVar(&o.Carrier, "carrier", "", "URL of a carrier to use instead of the simulated one")
	f.StringVar(&o.Mailbox, "mailbox", "", "host:port of an SMTP server to use instead of the simulated one")
	f.IntVar(&o.SpansPerSecond, "spans-per-second", 500, "budget of traces; what fails is always traced")
	f.StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	f.BoolVar(&logJSON, "log-json", false, "log as JSON lines")
	return c
}

func runCommand() *cobra.Command {
	var o dev.RunOptions
	var level string
	var logJSON bool
	c := &cobra.Command{
		Use:   "run NAME...",
		Short: "Run services against a Kafka that is there",
		Long: `Run one instance of each named service, or of "all", against a Kafka cluster.
Start the command as often as you like: instances share the work. Event stores
are SQLite files in --data, which instances of a service on one machine share.
Commands reach only services of the same process until a broker carries them.`,
		Example: "  weir run inventory payment --brokers 127.0.0.1:9092 --data ./data",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.Log, err = logger(c.ErrOrStderr(), level, logJSON); err != nil {
				return err
			}
			o.Services = args
			return dev.RunServices(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Brokers, "brokers", []string{"127.0.0.1:9092"}, "Kafka brokers to begin with")
	f.StringVar(&o.Data, "data", "data", "directory of the event stores")
	f.Int32Var(&o.Partitions, "partitions", 4, "partitions of every topic of the platform")
	f.StringVar(&o.HTTP, "http", "", "address for /metrics and /readyz (default: none)")
	f.StringVar(&o.Provider, "provider", "http://127.0.0.1:9101", "URL of the payment provider")
	f.StringVar(&o.Carrier, "carrier", "http://127.0.0.1:9102", "URL of the carrier")
	f.StringVar(&o.Mailbox, "mailbox", "127.0.0.1:9103", "host:port of the SMTP server")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	f.BoolVar(&logJSON, "log-json", false, "log as JSON lines")
	return c
}

func topologyCommand() *cobra.Command {
	c := &cobra.Command{Use: "topology", Args: cobra.NoArgs, Short: "Draw who tells whom what", Long: "Draw the deciders and the events between them, as they are declared in the code."}
	out := output(c, "mermaid", "dot", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		t, err := sagas.Topology()
		if err != nil {
			return err
		}
		switch *out {
		case "mermaid":
			fmt.Fprint(c.OutOrStdout(), t.Mermaid())
		case "dot":
			fmt.Fprint(c.OutOrStdout(), t.Dot())
		case "json":
			return printJSON(c.OutOrStdout(), t)
		default:
			return usagef("-o %q: use mermaid, dot or json", *out)
		}
		return nil
	}
	return c
}
