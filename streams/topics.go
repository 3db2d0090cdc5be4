package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TopicSpec is a topic as the platform wants it. It is made if it is missing;
// one that is there is checked, and never changed.
type TopicSpec struct {
	Name        string            `json:"name"`
	Partitions  int32             `json:"partitions"`
	Replication int16             `json:"replication"`
	Configs     map[string]string `json:"configs"` // in Kafka's own names
}

// TopicSpecs renders every topic of a topology, for a configuration's
// partitions, replication and in-sync replicas.
func (t *Topology) TopicSpecs(cfg Config) []TopicSpec {
	cfg.defaults()
	cfg.Topology = t
	out := eventTopics(&cfg)
	for _, s := range t.Services {
		out = append(out, eventTopic(&cfg, LaneTopic(s.Name)), eventTopic(&cfg, DeadTopic(s.Name)))
	}
	for _, p := range t.Pipelines {
		out = append(out, eventTopic(&cfg, DeadTopic(p.Name)), positionsTopic(&cfg, p.Name))
	}
	for _, unit := range exclusiveUnits {
		out = append(out, exclusiveTopic(&cfg, unit))
	}
	return append(out, controlTopic(&cfg))
}

func eventTopics(cfg *Config) (out []TopicSpec) {
	for _, t := range cfg.Topology.Topics() {
		out = append(out, eventTopic(cfg, t.Name))
	}
	return out
}

// eventTopic is kept for ever, as whoever is new may want all, and whole: a
// compacted log has holes, and a hole halts its readers.
func eventTopic(cfg *Config, name string) TopicSpec {
	s := TopicSpec{name, cfg.Partitions, cfg.Replication, map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}}
	if cfg.MinInSync > 0 {
		s.Configs["min.insync.replicas"] = strconv.Itoa(cfg.MinInSync)
		// Who is elected without having been in sync has lost what was acknowledged.
		s.Configs["unclean.leader.election.enable"] = "false"
	}
	return s
}

func controlTopic(cfg *Config) TopicSpec {
	s := eventTopic(cfg, ControlTopic)
	s.Partitions, s.Configs["cleanup.policy"] = 1, "compact"
	return s
}

// MakeTopics makes every event topic of a topology that is missing, and checks
// those that are there. Instances do it too; for who reads only and may come
// before them.
func MakeTopics(ctx context.Context, cfg Config) error {
	cfg.defaults()
	return makeTopics(ctx, &cfg, eventTopics(&cfg)...)
}

// MakeAllTopics makes and checks the topics of all of a topology's units, for
// an operator whose units may make none.
func MakeAllTopics(ctx context.Context, cfg Config) error {
	cfg.defaults()
	return makeTopics(ctx, &cfg, cfg.Topology.TopicSpecs(cfg)...)
}

// RepairTopics sets the configuration of those topics that are there to what the
// platform asks of them. It is for a log that is the caller's own: whose else it is
// has decided otherwise.
func RepairTopics(ctx context.Context, cfg Config) error {
	return withAdmin(cfg.Client, func(adm *kadm.Client) error {
		specs := cfg.Topology.TopicSpecs(cfg)
		have, err := listTopics(ctx, adm, specs)
		if err != nil {
			return err
		}
		for _, s := range specs {
			if have[s.Name].Err != nil {
				continue // it is made as it should be
			}
			var alter []kadm.AlterConfig
			for k, v := range s.Configs {
				alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v})
			}
			rs, err := adm.AlterTopicConfigs(ctx, alter, s.Name)
			if err == nil && len(rs) == 1 {
				err = rs[0].Err
			}
			if err != nil {
				return fmt.Errorf("configuring topic %s: %w", s.Name, err)
			}
		}
		return nil
	})
}

func withAdmin(opts []kgo.Opt, f func(*kadm.Client) error) error {
	// What was just made must be seen: the client would answer from its memory
	// for five seconds.
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.MetadataMinAge(10*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return f(kadm.NewClient(cl))
}

// prepareTopics makes the topics that are missing, checks those that are
// there, and compares the control topic with the store.
func prepareTopics(ctx context.Context, cfg *Config, p *plan, info StoreInfo) error {
	err := makeTopics(ctx, cfg, append(eventTopics(cfg), eventTopic(cfg, LaneTopic(p.service)), eventTopic(cfg, DeadTopic(p.service)), controlTopic(cfg))...)
	if err != nil {
		return err
	}
	return untilSpread(ctx, cfg, ControlTopic, func() error { return checkControl(ctx, cfg, p.service, info) })
}

// spreadTime is how long a topic that was made may take to be known to all
// brokers and to have leaders, and all brokers of a new cluster to be there.
const spreadTime = 2 * time.Minute

// untilSpread repeats f while it fails because brokers do not know yet, or not all
// of them, what they will know soon.
func untilSpread(ctx context.Context, cfg *Config, what string, f func() error) error {
	began := time.Now()
	for n := 0; ; n++ {
		err := f()
		if err == nil || !kerr.IsRetriable(err) && !errors.Is(err, kerr.InvalidReplicationFactor) {
			return err
		}
		if waited := time.Since(began); waited > spreadTime {
			return fmt.Errorf("waited %v for %s: %w", waited.Round(time.Second), what, err)
		} else if n%10 == 7 { // after two seconds, and then every ten
			cfg.Log.Warn("the cluster is not ready yet, waiting", "for", what, "error", err)
		}
		if !sleep(ctx, min(20*time.Millisecond<<min(n, 6), time.Second)) {
			return err
		}
	}
}

// makeTopics makes those that are missing, and waits until all brokers know them.
// It asks for no others: a unit may be allowed to look at topics, and not to make
// them.
func makeTopics(ctx context.Context, cfg *Config, specs ...TopicSpec) error {
	return withAdmin(cfg.Client, func(adm *kadm.Client) error {
		fresh := map[string]bool{} // were missing: they may not be known whole yet
		return untilSpread(ctx, cfg, "topics", func() error {
			have, err := listTopics(ctx, adm, specs)
			if err != nil {
				return err
			}
			for _, s := range specs {
				if errors.Is(have[s.Name].Err, kerr.UnknownTopicOrPartition) {
					fresh[s.Name] = true
					err = errors.Join(err, makeTopic(ctx, adm, s))
				}
			}
			for _, s := range specs {
				err = errors.Join(err, known(have, s, fresh[s.Name]))
			}
			if err != nil {
				return err
			}
			return checkTopics(ctx, adm, have, specs)
		})
	})
}

// known tells why a topic is not of use yet.
func known(have kadm.TopicDetails, s TopicSpec, fresh bool) error {
	d := have[s.Name]
	if d.Err != nil {
		return fmt.Errorf("topic %s: %w", s.Name, d.Err)
	}
	if fresh && len(d.Partitions) < int(s.Partitions) {
		return fmt.Errorf("topic %s has %d of its %d partitions: %w", s.Name, len(d.Partitions), s.Partitions, kerr.LeaderNotAvailable)
	}
	for _, p := range d.Partitions.Sorted() {
		if p.Err != nil && !errors.Is(p.Err, kerr.ReplicaNotAvailable) || p.Leader < 0 {
			return fmt.Errorf("%s/%d has no leader: %w", s.Name, p.Partition, errors.Join(p.Err, kerr.LeaderNotAvailable))
		}
	}
	return nil
}

func makeTopic(ctx context.Context, adm *kadm.Client, s TopicSpec) error {
	configs := map[string]*string{}
	for k, v := range s.Configs {
		configs[k] = &v
	}
	r, err := adm.CreateTopic(ctx, s.Partitions, s.Replication, configs, s.Name)
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists): // by another instance
		return nil
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fmt.Errorf("topic %s is missing, and this user may not make it: make the platform's topics with weir kafka apply first: %w", s.Name, err)
	case err != nil:
		return fmt.Errorf("making topic %s: %w %s", s.Name, err, r.ErrMessage)
	}
	return nil
}

func listTopics(ctx context.Context, adm *kadm.Client, specs []TopicSpec) (kadm.TopicDetails, error) {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	have, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("looking at topics: %w", err)
	}
	return have, nil
}

// checkTopics refuses topics on which the platform's promises would not hold.
func checkTopics(ctx context.Context, adm *kadm.Client, have kadm.TopicDetails, specs []TopicSpec) error {
	want := map[string]TopicSpec{}
	var names []string
	for _, s := range specs {
		d := have[s.Name]
		if n := len(d.Partitions); d.Err == nil && n != int(s.Partitions) {
			return fmt.Errorf("topic %s has %d partitions, the platform %d: keys would move to other lanes. Growth is a drained migration; set the partition count back", s.Name, n, s.Partitions)
		}
		want[s.Name], names = s, append(names, s.Name)
	}
	configs, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return fmt.Errorf("looking at the topics' configuration: %w", err)
	}
	var errs []error
	for _, t := range configs {
		if t.Err != nil {
			return fmt.Errorf("looking at the configuration of topic %s: %w", t.Name, t.Err)
		}
		for _, c := range t.Configs {
			asked, ok := want[t.Name].Configs[c.Key]
			if why := broken(c.Key, c.MaybeValue(), asked); ok && why != "" {
				errs = append(errs, fmt.Errorf("topic %s has %s=%s: %s. Set it to %s", t.Name, c.Key, c.MaybeValue(), why, asked))
			}
		}
	}
	return errors.Join(errs...)
}

func number(s string) int {
	n, _ := strconv.Atoi(s) // Kafka's own
	return n
}

// broken says what would go wrong with a topic's configuration.
func broken(key, have, asked string) string {
	switch {
	case key == "cleanup.policy" && asked == "delete" && strings.Contains(have, "compact"):
		return "it is compacted, events would be lost from it, and their readers halt; restore what is missing"
	case key == "cleanup.policy" && asked == "compact" && have != asked:
		return "what it tells of services would be deleted, or never be made short"
	case strings.HasPrefix(key, "retention.") && have != asked:
		return "events would be deleted, and whoever is new could not read them all"
	case key == "min.insync.replicas" && number(have) < number(asked):
		return "what was acknowledged could be lost with fewer replicas than was asked for"
	case key == "unclean.leader.election.enable" && have != asked:
		return "a replica that lacks what was acknowledged could become the leader"
	}
	return ""
}
