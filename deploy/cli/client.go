package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/streams"
)

// client talks to a running weir.
type client struct{ url *string }

func urlFlag(c *cobra.Command) client {
	return client{c.PersistentFlags().String("url", "http://127.0.0.1:8080", "address of the running weir")}
}

// call makes a request and decodes the answer, or explains why it cannot.
func (c client) call(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(*c.url, "/")+path, nil)
	if err != nil {
		return usagef("--url %q: %v", *c.url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers at %s: %w. Is weir dev running?", *c.url, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("answer of %s: %w", *c.url, err)
	}
	if res.StatusCode >= 300 {
		var problem struct{ Detail string }
		if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
			problem.Detail = res.Status
		}
		return fmt.Errorf("%s", problem.Detail)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of %s is no JSON: %w. Is it a weir?", *c.url, err)
	}
	return nil
}

func dlqCommand() *cobra.Command {
	c := &cobra.Command{Use: "dlq", Short: "Look at parked inputs, retry or drop them",
		Long: `An input whose decision failed parks its key: later inputs of that key wait
behind it, in order, and all others flow. Mend the cause, then retry; or drop the
failed input, and those behind it are decided.`}
	cl := urlFlag(c)
	c.AddCommand(dlqList(cl), dlqShow(cl), dlqAct(cl, "retry", "Decide a parked key's inputs again, in order"), dlqAct(cl, "drop", "Drop the input a key is parked behind, and decide the rest"))
	return c
}

func dlqList(cl client) *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "List parked inputs", Args: cobra.NoArgs}
	out := output(c, "table", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var l platform.Letters
		if err := cl.call(c.Context(), http.MethodGet, "/v1/dead-letters", &l); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(c.OutOrStdout(), l.DeadLetters)
		}
		if len(l.DeadLetters) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "nothing is parked")
			return nil
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "SERVICE\tDECIDER\tKEY\tINPUT\tSINCE\tREASON")
		for _, d := range l.DeadLetters {
			reason := d.Reason
			if reason == "" {
				reason = "(waits behind the failed one)"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Service, d.Decider, d.Key, d.Name, d.At.Format(time.RFC3339), firstLine(reason))
		}
		return t.Flush()
	}
	return c
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 100 {
		s = s[:97] + "..."
	}
	return s
}

// parkedPath is the address of the parked key that the arguments name.
func parkedPath(args []string) string {
	return platform.LettersPath(args[0], streams.StreamID{Decider: args[1], Key: args[2]})
}

func dlqShow(cl client) *cobra.Command {
	return &cobra.Command{Use: "show SERVICE DECIDER KEY", Short: "Show a parked key's inputs with reason and stack", Args: cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			var l platform.Letters
			if err := cl.call(c.Context(), http.MethodGet, parkedPath(args), &l); err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), l.DeadLetters)
		}}
}

func dlqAct(cl client, verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " SERVICE DECIDER KEY", Short: short, Args: cobra.ExactArgs(3),
		RunE: func(c *cobra.Command, args []string) error {
			var r struct{ Left int }
			if err := cl.call(c.Context(), http.MethodPost, parkedPath(args)+"/"+verb, &r); err != nil {
				return err
			}
			if r.Left > 0 {
				return fmt.Errorf("%d inputs of %s are still parked: one failed again, see weir dlq show", r.Left, args[2])
			}
			fmt.Fprintf(c.OutOrStdout(), "%s flows again\n", args[2])
			return nil
		}}
}
