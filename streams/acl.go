package streams

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ACL is what a unit of the platform may do to a resource of Kafka. Its user is
// called like the unit.
type ACL struct {
	Unit       string   `json:"unit"`
	Resource   string   `json:"resource"` // topic, group or transactional-id
	Name       string   `json:"name"`
	Prefixed   bool     `json:"prefixed,omitempty"` // the name begins so
	Operations []string `json:"operations"`         // in Kafka's own words
}

// Units that are no services or pipelines of a topology.
const (
	IngestUnit     = "ingest"     // writes what is posted from outside
	ProjectionUnit = "projection" // reads every event topic, in one process at a time
	AnalyticsUnit  = "analytics"  // likewise
)

// exclusiveUnits read every event topic, each in one process at a time.
var exclusiveUnits = []string{ProjectionUnit, AnalyticsUnit}

// ACLs renders what each unit needs, and no more: a topic of events has one
// writer.
func (t *Topology) ACLs() []ACL {
	var out []ACL
	var names []string
	for _, x := range t.Topics() {
		names = append(names, x.Name)
	}
	add := func(unit, resource, name string, ops ...string) {
		out = append(out, ACL{Unit: unit, Resource: resource, Name: name, Operations: ops})
	}
	look := func(unit string) { // units check the platform's topics when they start
		for _, n := range names {
			add(unit, "topic", n, "Describe", "DescribeConfigs")
		}
	}
	for i := range t.Services {
		s := &t.Services[i]
		look(s.Name)
		for _, d := range s.Deciders {
			for _, n := range t.written(d.Name) { // and what was written last is looked at
				add(s.Name, "topic", n, "Read", "Write")
			}
		}
		for _, n := range newPlan(t, s).topics() {
			add(s.Name, "topic", n, "Read")
		}
		add(s.Name, "topic", LaneTopic(s.Name), "Read", "Describe", "DescribeConfigs")
		add(s.Name, "topic", DeadTopic(s.Name), "Read", "Write", "Describe", "DescribeConfigs")
		add(s.Name, "topic", ControlTopic, "Read", "Write", "Describe", "DescribeConfigs")
		// Its sessions' length is the group's, under KIP-848.
		add(s.Name, "group", s.Name, "Read", "Describe", "DescribeConfigs", "AlterConfigs")
		add(s.Name, "group", MirrorGroup(s.Name), "Read", "Describe")
	}
	for _, p := range t.Pipelines {
		look(p.Name)
		types, _ := p.inputs(t.Vocabulary) // checked by NewTopology
		for _, n := range t.topicsOf(types) {
			add(p.Name, "topic", n, "Read")
		}
		for _, n := range t.written(p.Name) {
			add(p.Name, "topic", n, "Write")
		}
		add(p.Name, "topic", DeadTopic(p.Name), "Write", "Describe", "DescribeConfigs")
		add(p.Name, "topic", PositionsTopic(p.Name), "Read", "Write", "Describe", "DescribeConfigs")
		add(p.Name, "group", p.Name, "Read", "Describe", "DescribeConfigs", "AlterConfigs")
		if p.Transactional {
			out = append(out, ACL{Unit: p.Name, Resource: "transactional-id", Name: p.Name + "-", Prefixed: true, Operations: []string{"Write", "Describe"}})
		}
	}
	look(IngestUnit)
	for _, n := range t.written(ExternalWriter) {
		add(IngestUnit, "topic", n, "Write")
	}
	add(IngestUnit, "topic", ControlTopic, "Read", "Describe") // the gateway, beside it, asks for incarnations
	for _, unit := range exclusiveUnits {
		look(unit)
		for _, n := range names {
			add(unit, "topic", n, "Read")
		}
		add(unit, "topic", LaneTopic(unit), "Read", "Describe", "DescribeConfigs")
		add(unit, "group", unit, "Read", "Describe", "DescribeConfigs", "AlterConfigs")
	}
	for _, r := range t.readers() { // it watches how far they are behind
		add(ProjectionUnit, "group", r.group, "Describe")
	}
	return out
}

// written lists the topics of a writer.
func (t *Topology) written(writer string) (out []string) {
	for _, x := range t.Topics() {
		if x.Writer == writer {
			out = append(out, x.Name)
		}
	}
	return out
}

// topicsOf lists the topics of event types, each once.
func (t *Topology) topicsOf(types []string) (out []string) {
	for _, n := range types {
		if x, ok := t.Topic(n); ok && !slices.Contains(out, x.Name) {
			out = append(out, x.Name)
		}
	}
	return out
}

// CLI is the ACL as a call of Kafka's own kafka-acls.sh.
func (a ACL) CLI() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-acls.sh --bootstrap-server \"$BROKERS\" --command-config admin.properties --add --allow-principal User:%s", a.Unit)
	for _, o := range a.Operations {
		b.WriteString(" --operation " + o)
	}
	fmt.Fprintf(&b, " --%s %s", a.Resource, a.Name)
	if a.Prefixed {
		b.WriteString(" --resource-pattern-type prefixed")
	}
	return b.String()
}

// ApplyACLs creates ACLs; those that are there stay.
func ApplyACLs(ctx context.Context, client []kgo.Opt, acls []ACL) error {
	return withAdmin(client, func(adm *kadm.Client) error {
		for _, a := range acls {
			b, err := a.builder()
			if err != nil {
				return err
			}
			rs, err := adm.CreateACLs(ctx, b)
			if err != nil {
				return fmt.Errorf("creating ACLs of %s: %w", a.Unit, err)
			}
			for _, r := range rs {
				if r.Err != nil {
					return fmt.Errorf("creating an ACL of %s on %s %s: %w %s", a.Unit, a.Resource, a.Name, r.Err, r.ErrMessage)
				}
			}
		}
		return nil
	})
}

var aclOperations = map[string]kadm.ACLOperation{"Read": kadm.OpRead, "Write": kadm.OpWrite, "Describe": kadm.OpDescribe,
	"DescribeConfigs": kadm.OpDescribeConfigs, "AlterConfigs": kadm.OpAlterConfigs}

func (a *ACL) builder() (*kadm.ACLBuilder, error) {
	b := kadm.NewACLs().Allow("User:" + a.Unit).AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	if a.Prefixed {
		b.ResourcePatternType(kadm.ACLPatternPrefixed)
	}
	switch a.Resource {
	case "topic":
		b.Topics(a.Name)
	case "group":
		b.Groups(a.Name)
	case "transactional-id":
		b.TransactionalIDs(a.Name)
	default:
		return nil, fmt.Errorf("an ACL on %q: only topics, groups and transactional ids have some", a.Resource)
	}
	var ops []kadm.ACLOperation
	for _, o := range a.Operations {
		op, ok := aclOperations[o]
		if !ok {
			return nil, fmt.Errorf("an ACL for %q, which is no operation", o)
		}
		ops = append(ops, op)
	}
	return b.Operations(ops...), b.ValidateCreate()
}
