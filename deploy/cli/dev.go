package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/logs"
	"github.com/weirstream/weir/deploy/platform"
)

func (weir App) devCommand() *cobra.Command {
	o := platform.Options{Business: weir.Business, Units: []string{platform.AllUnits}, Config: config.Default()}
	var logJSON bool
	c := &cobra.Command{
		Use: "dev", Args: cobra.NoArgs,
		Short: "Run everything in this process, on embedded parts",
		Long: `Run the whole business in this process: the log (it speaks Kafka), the services
with their event stores, the read model, the HTTP interface with a live page, and
what the services call outside, simulated. Ctrl-C drains and stops;
a second Ctrl-C stops at once. It reads no configuration: see weir run for that.`,
		Example: `  weir dev                                # then open http://127.0.0.1:8080
  weir dev --data ./data                  # keep everything, and go on from there next time`,
		RunE: func(c *cobra.Command, _ []string) error {
			if logJSON {
				o.Config.Logs.Format = "ecs"
			}
			if o.Config.Data == "" {
				dir, err := os.MkdirTemp("", "weir-dev-")
				if err != nil {
					return fmt.Errorf("no directory for the run's data: %w", err)
				}
				defer os.RemoveAll(dir)
				o.Config.Data = dir
			}
			config.Conceal(o.Config.Secrets()...)
			platform.Tune()
			return runPlatform(c, o)
		},
	}
	f := c.Flags()
	cfg := &o.Config
	cfg.Partitions, cfg.Quota.PerSecond, cfg.Logs.Level, cfg.Data = 2, 500, "warn", ""
	o.Kafka, o.Probe = "127.0.0.1:9092", time.Minute
	f.Var(listener(&cfg.HTTP), "http", "address of the HTTP interface and the live page")
	f.Var(loopback(&o.Kafka), "kafka", "address where the embedded log speaks Kafka")
	f.StringVar(&cfg.Data, "data", "", "directory to keep everything in (default: a temporary one)")
	wholeFlag(c, &cfg.Partitions, "partitions", 1, 256, "partitions of every topic; cannot be changed for a data directory")
	if weir.Business.Customer != nil {
		numberFlag(c, &o.Rate, "customers-per-second", 0, 100_000, "simulated customers that come")
		spanFlag(c, &o.Probe, "probe", 10*time.Millisecond, time.Minute, probing)
		c.Example += "\n  weir dev --customers-per-second 20 --for 1m   # with customers; exit code 1 if the books do not balance"
	}
	f.BoolVar(&o.Prometheus, "prometheus", true, "run a Prometheus in this process, with all rules and alerts, at /prometheus")
	numberFlag(c, &cfg.Quota.PerSecond, "quota", 0, 1e9, "requests a second that one client may make; 0: no bound")
	spanFlag(c, &o.For, "for", time.Millisecond, longest, "run this long, print a summary, and fail if an invariant broke (default: until Ctrl-C)")
	weir.outsideFlag(c, cfg)
	wholeFlag(c, &cfg.OTLP.SpansPerSecond, "spans-per-second", 0, 1_000_000, "budget of traces; what fails is always traced")
	f.Var(oneWord(&cfg.Logs.Level, logLevels...), "log-level", "what to log")
	complete(c, "log-level", logLevels...)
	f.BoolVar(&logJSON, "log-json", false, "log as JSON lines, in Elasticsearch's schema (ECS)")
	return c
}

var logLevels = []string{"debug", "info", "warn", "error"}

// longest is more than any run.
const longest = 10 * 365 * 24 * time.Hour

// configFlag adds the --config flag.
func configFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", "", "configuration file (default: "+config.DefaultFile+", if it is there)")
}

const probing = "time between the prober's visits, which show whether the business works, at most a minute; 0: none, and UnitMissing tells so"

func (weir App) runCommand() *cobra.Command {
	o := platform.Options{Business: weir.Business}
	c := &cobra.Command{
		Use:   "run UNIT...",
		Short: "Run units on the servers that the configuration names",
		Long: `Run units of the platform in this process: services by their names, the HTTP
interface (gateway), the writer of the read model (projection) and that of analytics
(analytics), the prober, which does once a minute what a customer does to see whether it works, or all of them.
Start the command as often as you like, here and on other machines: instances of
a unit share the work. Where things are stands in weir.yaml, or in environment
variables (see weir config); what neither names is embedded in this process,
which only one process that runs all units can do: several share Kafka,
PostgreSQL, RabbitMQ, MongoDB, ClickHouse and Consul.`,
		Example: `  weir run all                 # everything, on the servers of ./weir.yaml
  weir run gateway projection  # in one process,
  weir run prober --http 127.0.0.1:8081  # in another, and in a third
  weir run ` + strings.Join(weir.serviceNames(), " ") + ` --http 127.0.0.1:8082`,
		Args: cobra.MinimumNArgs(1),
	}
	path := configFlag(c)
	http := ""
	o.Probe = time.Minute
	c.Flags().Var(listener(&http), "http", "address of the HTTP interface (default: the configuration's)")
	spanFlag(c, &o.Probe, "probe", 10*time.Millisecond, time.Minute, probing)
	units := append([]string{platform.AllUnits, platform.GatewayUnit, platform.ProjectionUnit, platform.AnalyticsUnit, platform.ProberUnit}, append(weir.serviceNames(), weir.pipelineNames()...)...)
	c.ValidArgs = units
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, unit := range args {
			if err := oneOf("unit", unit, units...); err != nil {
				return err
			}
		}
		var err error
		if o.Config, err = config.Load(*path); err != nil {
			return err
		}
		if http != "" {
			o.Config.HTTP = http
		}
		o.Units = args
		return runPlatform(c, o)
	}
	return c
}

func runPlatform(c *cobra.Command, o platform.Options) error {
	lines, words := c.ErrOrStderr(), c.OutOrStdout()
	if o.Config.Logs.Format == "ecs" { // shippers read a container's standard output
		lines, words = words, lines
	}
	log, end, err := logger(config.Hiding(lines), o.Config.Logs)
	if err != nil {
		return err
	}
	defer end()
	o.Log, o.Out = log, words
	return platform.Run(c.Context(), o)
}

// logger writes for a person on a terminal, or lines that Elasticsearch takes.
func logger(w io.Writer, l config.Logs) (log *slog.Logger, end func(), err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, nil, usagef("log level %q: use debug, info, warn or error", l.Level)
	}
	end = func() {}
	if l.File != "" {
		// Whoever ships lines is another user as a rule, and they hold no bodies of
		// events: the umask that the process was started with decides.
		f, err := os.OpenFile(l.File, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("log file: %w", err)
		}
		w, end = config.Hiding(f), func() { _ = f.Close() } // every line was written by itself
	}
	if l.Format == "ecs" {
		return slog.New(logs.NewHandler(w, level, version())), end, nil
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), end, nil
}

// version is the module's, or the revision that it was built from.
func version() string {
	v := "devel"
	if i, ok := debug.ReadBuildInfo(); ok {
		if i.Main.Version != "" && i.Main.Version != "(devel)" {
			v = i.Main.Version
		}
		for _, s := range i.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}

func (weir App) topologyCommand() *cobra.Command {
	c := &cobra.Command{Use: "topology", Args: cobra.NoArgs, Short: "Draw who tells whom what", Long: "Draw the deciders and the events between them, as they are declared in the code."}
	out := output(c, "mermaid", "dot", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		t, err := weir.Business.Topology()
		if err != nil {
			return err
		}
		switch *out {
		case "json":
			return printJSON(c.OutOrStdout(), t)
		case "dot":
			fmt.Fprint(c.OutOrStdout(), t.Dot())
		default:
			fmt.Fprint(c.OutOrStdout(), t.Mermaid())
		}
		return nil
	}
	return c
}
