package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
)

func (weir App) laneCommand() *cobra.Command {
	c := &cobra.Command{Use: "lane", Short: "See how the lanes of a process are, and why one stands still",
		Long: `A lane is a service's share of work on one partition. One that is halted cannot
prove that it would go on in order; its reason says what cures it.`,
		Example: weir.example("  weir lane ls\n  weir lane accept SERVICE/0")}
	cl := urlFlag(c)
	ls := &cobra.Command{Use: "ls", Args: cobra.NoArgs, Short: "List the lanes of a process"}
	out := output(ls, "table", "json")
	ls.RunE = func(c *cobra.Command, _ []string) error {
		var l platform.Lanes
		if err := cl.call(c.Context(), http.MethodGet, "/v1/lanes", &l); err != nil {
			return err
		}
		if *out == "json" {
			return printList(c.OutOrStdout(), l.Items, false)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "LANE\tSTATE\tBECAUSE")
		for _, x := range l.Items {
			name := fmt.Sprint(x.Service, "/", x.Lane)
			if x.Lane < 0 {
				name = x.Service + ", all"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", name, x.State, x.Because)
		}
		return t.Flush()
	}
	c.AddCommand(ls, weir.laneAccept(cl))
	return c
}

func (weir App) laneAccept(cl client) *cobra.Command {
	return &cobra.Command{Use: "accept SERVICE/LANE", Args: cobra.ExactArgs(1), Short: "Let a halted lane go on without records that its log has lost",
		Long: `Let a lane go on that is halted because records it has to read are not on the log
any more. What would have followed from them never happens: read the reason with
weir lane ls first.`,
		Example: weir.example("  weir lane accept SERVICE/0"),
		RunE: func(c *cobra.Command, args []string) error {
			service, lane, ok := strings.Cut(args[0], "/")
			if _, err := strconv.ParseUint(lane, 10, 31); !ok || err != nil {
				return usagef("%q is no lane: give a service and a number, as %s", args[0], weir.example("SERVICE/0"))
			}
			if err := oneOf("service", service, weir.serviceNames()...); err != nil {
				return err
			}
			var done struct{}
			if err := cl.call(c.Context(), http.MethodPost, "/v1/lanes/"+service+"/"+lane+"/accept", &done); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s goes on without them. Whether it runs: weir lane ls\n", args[0])
			return err
		}}
}

func (weir App) storeCommand() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Accept another event store as a service's, or let one go on that lost commits",
		Long: `The platform knows each service's event store by its incarnation, a name that is
minted with the store, and refuses to start on another one, or on an older copy:
it would hand out numbers again that readers have seen, and they would skip its
events for ever. Restore the newest copy, if there is one. These commands are for
when there is none. Stop the service first, all instances of it.

accept  takes the store that is there as the service's: a new beginning. What the
        one before knew is gone: sagas under way stand still at other services,
        and a client who sends an old request again has it carried out again.
renew   lets a store go on that is an older copy. Its newest commits are lost for
        good, and that hurts: what they had decided about commands is forgotten,
        so that a client who sends one again has it carried out again, whatever
        others have done about it since; what they had decided about events on the
        log is decided again, so that those events, and mails, come a second time;
        and other services may wait for answers about what this one has forgotten.
        Afterwards look at weir dlq ls and weir saga ls --state running, and settle
        by hand what stands there.`,
		Example: weir.example(`  weir store ls
  weir store renew SERVICE --data ./data    # of weir dev --data ./data
  weir store accept SERVICE                 # of ./weir.yaml`)}
	c.AddCommand(weir.storeList(), weir.storeChange("accept", "Take the event store that is there as the service's", platform.AcceptStore),
		weir.storeChange("renew", "Let an older copy go on, under another name", platform.RenewStore))
	return c
}

// storeOptions adds the flags that say where the stores are.
func (weir App) storeOptions(c *cobra.Command) func() (platform.Options, error) {
	path, data := configFlag(c), c.Flags().String("data", "", "the directory of a weir dev --data")
	return func() (platform.Options, error) {
		var err error
		o := platform.Options{Business: weir.Business}
		if o.Config, err = config.Load(*path); err == nil && *data != "" {
			o.Config = config.Default()
			o.Config.Data = *data
		}
		return o, err
	}
}

func (weir App) storeList() *cobra.Command {
	c := &cobra.Command{Use: "ls", Args: cobra.NoArgs, Short: "List event stores, and which the platform knows"}
	out, options := output(c, "table", "json"), weir.storeOptions(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		o, err := options()
		if err != nil {
			return err
		}
		all, err := platform.Stores(c.Context(), o, "")
		if err != nil {
			return err
		}
		if *out == "json" {
			return printList(c.OutOrStdout(), all, false)
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "SERVICE\tSTORE\tTHE PLATFORM KNOWS")
		for _, s := range all {
			known := s.Known
			switch {
			case known == "":
				known = "none yet"
			case known == s.Store && s.Behind:
				known = "it, and newer commits of it: this is an older copy"
			case known == s.Store:
				known = "it"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", s.Service, s.Store, known)
		}
		return t.Flush()
	}
	return c
}

func (weir App) storeChange(verb, short string, change func(context.Context, platform.Options, string) (platform.StoreState, error)) *cobra.Command {
	c := &cobra.Command{Use: verb + " SERVICE", Args: cobra.ExactArgs(1), ValidArgs: weir.serviceNames(), Short: short}
	options, force := weir.storeOptions(c), new(bool)
	if verb == "renew" {
		c.Flags().BoolVar(force, "force", false, "renew a store also if it does not look like an older copy")
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := oneOf("service", args[0], weir.serviceNames()...); err != nil {
			return err
		}
		o, err := options()
		if err != nil {
			return err
		}
		now, err := platform.Stores(c.Context(), o, args[0])
		if err != nil {
			return err
		}
		if verb == "accept" && now[0].Known == now[0].Store {
			return fmt.Errorf("store %s is the one that the platform knows as that of %s: there is nothing to accept", now[0].Store, args[0])
		}
		if verb == "renew" && now[0].Known == now[0].Store && !now[0].Behind && !*force {
			return fmt.Errorf("store %s is the newest that the platform knows of %s: renewing it would do harm (see --help). If a lane is halted for an older copy all the same, or for somebody who writes in its name, --force renews it", now[0].Store, args[0])
		}
		s, err := change(c.Context(), o, args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "The platform knows store %s as that of %s now. Start the service.\n", s.Store, s.Service)
		return err
	}
	return c
}
