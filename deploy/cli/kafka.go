package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/streams"
)

func (weir App) kafkaCommand() *cobra.Command {
	c := &cobra.Command{Use: "kafka", Short: "Show or make the platform's topics and ACLs",
		Long: `Topics and access rules follow from the topology: what each unit writes and
reads, and nothing else. Units make missing topics themselves if they may; where
they may not, an operator applies all of it once, before the first start.`}
	c.AddCommand(weir.kafkaPlan(), weir.kafkaApply())
	return c
}

func (weir App) kafkaPlan() *cobra.Command {
	c := &cobra.Command{Use: "plan", Args: cobra.NoArgs, Short: "Print topics and ACLs; connects to nothing"}
	out, path := output(c, "table", "json", "cli"), configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, t, err := weir.kafkaConfig(*path)
		if err != nil {
			return err
		}
		topics, acls := t.TopicSpecs(cfg), t.ACLs()
		switch *out {
		case "json":
			return printJSON(c.OutOrStdout(), map[string]any{"topics": topics, "acls": acls})
		case "cli":
			for _, s := range topics {
				fmt.Fprintln(c.OutOrStdout(), topicCLI(s))
			}
			for _, a := range acls {
				fmt.Fprintln(c.OutOrStdout(), a.CLI())
			}
			return nil
		default:
			return printPlan(c, topics, acls)
		}
	}
	return c
}

// topicCLI is a topic as a call of Kafka's own kafka-topics.sh.
func topicCLI(s streams.TopicSpec) string {
	call := fmt.Sprintf("kafka-topics.sh --bootstrap-server \"$BROKERS\" --command-config admin.properties --create --if-not-exists --topic %s --partitions %d --replication-factor %d",
		s.Name, s.Partitions, s.Replication)
	for _, c := range configs(s) {
		call += " --config " + c
	}
	return call
}

// configs are a topic's settings, name=value.
func configs(s streams.TopicSpec) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(s.Configs)) {
		out = append(out, k+"="+s.Configs[k])
	}
	return out
}

func printPlan(c *cobra.Command, topics []streams.TopicSpec, acls []streams.ACL) error {
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "TOPIC\tPARTITIONS\tREPLICATION\tCONFIGURATION")
	for _, s := range topics {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\n", s.Name, s.Partitions, s.Replication, strings.Join(configs(s), " "))
	}
	fmt.Fprintln(t, "\nUNIT\tRESOURCE\tNAME\tMAY")
	for _, a := range acls {
		name := a.Name
		if a.Prefixed {
			name += "*"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", a.Unit, a.Resource, name, strings.Join(a.Operations, ", "))
	}
	return t.Flush()
}

func (weir App) kafkaApply() *cobra.Command {
	c := &cobra.Command{Use: "apply", Args: cobra.NoArgs, Short: "Make what is missing of the topics and, with --acls, of the ACLs",
		Long: `Make the topics that are missing, and check those that are there; nothing is
changed or deleted. With --acls create the access rules too, for users that are
called like the units. A user that runs several units needs those of all of them,
and one that does weir run all needs every rule. The configuration's user must be
allowed to make them.`}
	path, withACLs := configFlag(c), c.Flags().Bool("acls", false, "create the access rules too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, t, err := weir.kafkaConfig(*path)
		if err != nil {
			return err
		}
		if len(cfg.Client) == 0 {
			return errors.New("the configuration names no kafka.brokers: there is nothing to apply to")
		}
		if err := streams.MakeAllTopics(c.Context(), cfg); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d topics are there\n", len(t.TopicSpecs(cfg)))
		if !*withACLs {
			return nil
		}
		if err := streams.ApplyACLs(c.Context(), cfg.Client, t.ACLs()); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d access rules are there\n", len(t.ACLs()))
		return nil
	}
	return c
}

// kafkaConfig is what topics are rendered with. It has no client if the log is
// embedded.
func (weir App) kafkaConfig(path string) (streams.Config, *streams.Topology, error) {
	c, err := config.Load(path)
	if err != nil {
		return streams.Config{}, nil, err
	}
	t, err := weir.Business.Topology()
	if err != nil {
		return streams.Config{}, nil, err
	}
	out := streams.Config{Topology: t, Partitions: c.Partitions, Replication: c.Kafka.Replication, MinInSync: c.Kafka.MinInSync}
	if len(c.Kafka.Brokers) > 0 {
		out.Client, err = c.Kafka.Client()
	}
	return out, t, err
}
