package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/streams/business"
)

func (weir App) outsideCommand() *cobra.Command {
	endpoints, names := weir.Business.Endpoints(), weir.endpoints()
	var p sim.Program
	c := &cobra.Command{
		Use: "outside ENDPOINT", Args: cobra.ExactArgs(1), ValidArgs: names,
		Short: "Run a simulated server of the outside as a process of its own: " + strings.Join(names, ", "),
		Long: `Simulate a server that the services call, for laptops, tests and benchmarks: it moves
nothing out of this machine. "weir dev" has all of them in its own process.

  GET  /ledger   what really happened
  POST /faults   break it while it runs, or mend it with {}`,
		Example: `  weir outside ` + names[0] + ` --journal outside.jsonl              # remember everything over a restart
  weir outside ` + names[0] + ` --lost 0.05 --errors 0.05 --latency-ms 80   # as bad as a real one`,
		RunE: func(c *cobra.Command, args []string) error {
			for _, e := range endpoints {
				if e.Name == args[0] {
					if err := p.Faults.Check(); err != nil {
						return usagef("%v", err)
					}
					return p.Run(c.Context(), e, c.OutOrStdout())
				}
			}
			return oneOf("endpoint", args[0], names...)
		},
	}
	f := c.Flags()
	p.Listen, p.SMTP, p.Faults.Seed = "127.0.0.1:9101", "127.0.0.1:9103", 1
	f.Var(listener(&p.Listen), "listen", "address of the HTTP API; port 0 picks a free one")
	f.Var(listener(&p.SMTP), "smtp", "address to take mail on, of one that speaks SMTP; port 0 picks a free one")
	f.StringVar(&p.Hosts, "hosts", "", "names, by commas, that it is asked by, beside addresses, localhost and the one listened on")
	f.StringVar(&p.Journal, "journal", "", "file that its state survives in; without it the end forgets everything")
	f.Uint64Var(&p.Faults.Seed, "seed", 1, "number that all chance follows from: the same seed refuses the same keys")
	f.BoolVar(&p.Faults.Down, "down", false, "start out of order: cut every connection")
	for name, rate := range map[string]struct {
		to  *float64
		has string
	}{"errors": {&p.Faults.Errors, "calls answered with a passing error, without acting"}, "defers": {&p.Faults.Defers, "mails put off until later"},
		"lost": {&p.Faults.Lost, "calls that are acted on and never answered"}, "late": {&p.Faults.Late, "calls that are acted on and answered after --late-ms"}} {
		numberFlag(c, rate.to, name, 0, 1, "rate of "+rate.has)
	}
	p.Faults.LateMS = 5000
	for name, ms := range map[string]struct {
		to  *int
		has string
	}{"late-ms": {&p.Faults.LateMS, "how late a late answer is, in milliseconds"}, "latency-ms": {&p.Faults.LatencyMS, "how long every call takes, in milliseconds"},
		"jitter-ms": {&p.Faults.JitterMS, "how much longer a call takes at most, in milliseconds"}} {
		wholeFlag(c, ms.to, name, 0, 600_000, ms.has)
	}
	f.FuncP("refuse", "", "KIND=RATE of definite refusals; may be given for several kinds", func(s string) error {
		kind, rate, _ := strings.Cut(s, "=")
		r, err := strconv.ParseFloat(rate, 64)
		if err != nil || kind == "" || !(r >= 0 && r <= 1) {
			return fmt.Errorf("not of the form declined=0.1, with a rate from 0 to 1")
		}
		if p.Faults.Refuse == nil {
			p.Faults.Refuse = map[string]float64{}
		}
		p.Faults.Refuse[kind] = r
		return nil
	})
	return c
}

// endpoints are the names of those that the business calls.
func (weir App) endpoints() (names []string) {
	for _, e := range weir.Business.Endpoints() {
		names = append(names, e.Name)
	}
	return names
}

// outsideFlag adds --outside, which names servers to use instead of the simulated ones.
func (weir App) outsideFlag(c *cobra.Command, cfg *config.Config) {
	if len(weir.endpoints()) == 0 {
		return
	}
	usage := "server to use instead of the simulated one, a URL or host:port of SMTP; endpoints are " + strings.Join(weir.endpoints(), ", ")
	c.Flags().Var(addresses{cfg, weir.Business}, "outside", usage)
}

// addresses are those of endpoints, one at a time.
type addresses struct {
	cfg      *config.Config
	business *business.Business
}

func (a addresses) String() string { return "" }
func (a addresses) Type() string   { return kindOutside }
func (a addresses) Set(s string) error {
	name, address, ok := strings.Cut(s, "=")
	if !ok || address == "" {
		return errors.New("it is not of the form ENDPOINT=ADDRESS")
	}
	if a.cfg.Outside == nil {
		a.cfg.Outside = map[string]config.Secret{}
	}
	a.cfg.Outside[name] = config.Secret(address)
	return a.cfg.CheckOutside(a.business.Endpoints())
}
