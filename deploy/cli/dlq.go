package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/streams"
)

func (weir App) dlqCommand() *cobra.Command {
	c := &cobra.Command{Use: "dlq", Short: "Look at parked inputs, retry or drop them",
		Long: `An input whose decision failed parks its key: later inputs of that key wait
behind it, in order, and all others flow. Mend the cause, then retry; or drop the
failed input, and those behind it are decided.`,
		Example: weir.example(`  weir dlq ls --service SERVICE
  weir dlq show SERVICE DECIDER k-17
  weir dlq retry SERVICE DECIDER k-17
  weir dlq retry --all --service SERVICE`)}
	cl := urlFlag(c)
	c.AddCommand(weir.dlqList(cl), weir.dlqShow(cl), weir.dlqAct(cl, "retry", "Decide parked keys' inputs again, in order"), weir.dlqAct(cl, "drop", "Drop the input that a key is parked behind, and decide the rest"))
	return c
}

// example puts a service and a decider of the business into examples, if it has any.
func (weir App) example(text string) string {
	for _, s := range weir.Business.Services {
		for _, d := range s.Deciders {
			return strings.NewReplacer("SERVICE", s.Name, "DECIDER", d.Name).Replace(text)
		}
	}
	return text
}

// serviceFlag narrows to one service.
func (weir App) serviceFlag(c *cobra.Command) *string {
	service := c.Flags().String("service", "", "only those of this service")
	complete(c, "service", weir.serviceNames()...)
	return service
}

// serviceNames are those of the business.
func (weir App) serviceNames() (names []string) {
	t, err := weir.Business.Topology()
	if err != nil {
		return nil // whoever needs the topology says why
	}
	for _, s := range t.Services {
		names = append(names, s.Name)
	}
	return names
}

// pipelineNames are those of the business.
func (weir App) pipelineNames() (names []string) {
	for _, p := range weir.Business.Pipelines {
		names = append(names, p.Name)
	}
	return names
}

func (weir App) checkService(service string) error {
	if service == "" {
		return nil
	}
	return oneOf("service", service, weir.serviceNames()...)
}

// mostLetters is how many a server lists that knows no pages.
const mostLetters = 1000

// letters lists what is parked, of one service or of all.
func (c client) letters(ctx context.Context, service string, limit int) (all []platform.Letter, more bool, err error) {
	return pages(limit, func(token string) ([]platform.Letter, string, error) {
		q := url.Values{}
		if service != "" {
			q.Set("service", service)
		}
		if limit > 0 {
			q.Set("limit", strconv.Itoa(min(limit, mostLetters)))
		}
		if token != "" {
			q.Set("page", token)
		}
		var l struct {
			platform.Letters
			Next string `json:"next"`
		}
		err := c.call(ctx, http.MethodGet, "/v1/dead-letters?"+q.Encode(), &l)
		return l.DeadLetters, l.Next, err
	})
}

func (weir App) dlqList(cl client) *cobra.Command {
	c := &cobra.Command{Use: "ls", Short: "List parked inputs", Args: cobra.NoArgs}
	out, service, limit := output(c, "table", "json"), weir.serviceFlag(c), limitFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := weir.checkService(*service); err != nil {
			return err
		}
		all, more, err := cl.letters(c.Context(), *service, *limit)
		if err != nil {
			return err
		}
		tellMore(c, len(all), more)
		if *out == "json" {
			return printList(c.OutOrStdout(), all, more)
		}
		if len(all) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "nothing is parked")
			return nil
		}
		t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "SERVICE\tDECIDER\tKEY\tINPUT\tSINCE\tREASON")
		for _, d := range all {
			reason := d.Reason
			if reason == "" {
				reason = "(waits behind the failed one)"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", d.Service, d.Decider, Printable(d.Key), Printable(d.Name), d.At.Format(time.RFC3339), Printable(firstLine(reason)))
		}
		return t.Flush()
	}
	return c
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 100 {
		s = string(r[:97]) + "..."
	}
	return s
}

// Printable shows what others wrote without the characters that command a terminal.
func Printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) < 0 {
		return s
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// parkedKey names a parked key.
type parkedKey struct{ service, decider, key string }

func (k parkedKey) path() string {
	return platform.LettersPath(k.service, streams.StreamID{Decider: k.decider, Key: k.key})
}

func (k parkedKey) String() string { return k.service + " " + k.decider + " " + Printable(k.key) }

// completeKey offers the names of services and deciders.
func (weir App) completeKey(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	t, err := weir.Business.Topology()
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if len(args) == 0 {
		return weir.serviceNames(), cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	if s, ok := t.Service(args[0]); ok {
		for _, d := range s.Deciders {
			names = append(names, d.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (weir App) dlqShow(cl client) *cobra.Command {
	return &cobra.Command{Use: "show SERVICE DECIDER KEY", Short: "Show a parked key's inputs with reason and stack", Args: cobra.ExactArgs(3), ValidArgsFunction: weir.completeKey,
		RunE: func(c *cobra.Command, args []string) error {
			if err := weir.checkService(args[0]); err != nil {
				return err
			}
			var l platform.Letters
			if err := cl.call(c.Context(), http.MethodGet, parkedKey{args[0], args[1], args[2]}.path(), &l); err != nil {
				return err
			}
			return printList(c.OutOrStdout(), l.DeadLetters, len(l.DeadLetters) >= mostLetters)
		}}
}

func (weir App) dlqAct(cl client, verb, short string) *cobra.Command {
	c := &cobra.Command{Use: verb + " SERVICE DECIDER KEY...", Short: short, ValidArgsFunction: weir.completeKey,
		Long: short + `. With --all, every key that is parked now, of one service with --service: one
after the other, each once. It tells how many flow again, how many failed again, and
what is left.`}
	all := c.Flags().Bool("all", false, "every parked key; with --service, those of one service")
	service := weir.serviceFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case *all && len(args) > 0, !*all && len(args) < 3, !*all && *service != "":
			return usagef("name a service, a decider and one key or more; or say --all, and which --service. See %s --help", c.CommandPath())
		case verb == "drop" && *all && *service == "":
			return usagef("--all drops an input of every parked key, for good: say of which --service")
		}
		if err := weir.checkService(*service); err != nil {
			return err
		}
		if *all {
			return cl.actOnAll(c, verb, *service)
		}
		if err := weir.checkService(args[0]); err != nil {
			return err
		}
		var r tally
		for _, key := range args[2:] {
			r.act(c.Context(), cl, verb, parkedKey{args[0], args[1], key})
		}
		return r.tell(c, verb)
	}
	return c
}

// tally counts what became of parked keys.
type tally struct {
	flow, again, left int
	errs              []error
	names             []string
}

// act retries a key, or drops its first input.
func (r *tally) act(ctx context.Context, cl client, verb string, k parkedKey) {
	var answer struct{ Left int }
	switch err := cl.call(ctx, http.MethodPost, k.path()+"/"+verb, &answer); {
	case err != nil:
		r.errs = append(r.errs, fmt.Errorf("%s: %w", k, err))
	case answer.Left > 0:
		r.again++
		r.left += answer.Left
		r.names = append(r.names, k.String())
	default:
		r.flow++
	}
}

// tell prints the sums, and fails if not all flow.
func (r *tally) tell(c *cobra.Command, verb string) error {
	if r.flow+r.again > 0 || len(r.errs) == 0 { // else nothing is known
		fmt.Fprintf(c.OutOrStdout(), "%d keys flow again, %d failed again (%d inputs are still parked)\n", r.flow, r.again, r.left)
	}
	errs := r.errs
	if len(errs) > 3 {
		errs = append(errs[:3:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	err := errors.Join(errs...)
	if r.again > 0 {
		err = errors.Join(fmt.Errorf("still parked after a %s, as one of its inputs failed: %s: see weir dlq show", verb, strings.Join(r.names[:min(5, len(r.names))], "; ")), err)
	}
	return err
}

// actOnAll acts on every key that is parked, each once. A server that lists so many
// and no more is asked again until it names none that is new.
func (cl client) actOnAll(c *cobra.Command, verb, service string) error {
	var r tally
	done := map[parkedKey]bool{}
	for {
		all, _, err := cl.letters(c.Context(), service, 0)
		if err != nil {
			return errors.Join(err, r.tell(c, verb))
		}
		fresh := 0
		for _, l := range all {
			k := parkedKey{l.Service, l.Decider, l.Key}
			if done[k] {
				continue
			}
			if c.Context().Err() != nil {
				return errors.Join(r.tell(c, verb), context.Cause(c.Context()))
			}
			done[k] = true
			fresh++
			r.act(c.Context(), cl, verb, k)
		}
		if len(done) == 0 {
			_, err := fmt.Fprintln(c.OutOrStdout(), "nothing is parked")
			return err
		}
		if fresh == 0 || len(all) < mostLetters {
			break
		}
	}
	return r.tell(c, verb)
}
