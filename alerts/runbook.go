package alerts

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

//go:embed runbooks
var runbooks embed.FS

// Runbook is what to do about an alert, as Markdown.
func Runbook(alert string) ([]byte, error) {
	b, err := runbooks.ReadFile("runbooks/" + alert + ".md")
	if err != nil {
		return nil, fmt.Errorf("alert %s has no runbook: %w", alert, err)
	}
	return b, nil
}

// Marks of the part of a runbook that renders from the alert. The rest, its
// causes and cure, is written by hand.
const (
	beginGenerated = "<!-- generated -->\n"
	endGenerated   = "<!-- /generated -->\n"
)

// Skeleton renders the generated part of an alert's runbook into what is there
// already, or begins a new one.
func (s *Set) Skeleton(alert string, have []byte) ([]byte, error) {
	if have == nil {
		have = []byte("# " + alert + "\n\n" + beginGenerated + endGenerated + "\n## Causes\n\n## Cure\n")
	}
	head, rest, ok := bytes.Cut(have, []byte(beginGenerated))
	_, tail, ok2 := bytes.Cut(rest, []byte(endGenerated))
	if !ok || !ok2 {
		return nil, errors.New("the runbook of " + alert + " lacks the marks " + strings.TrimSpace(beginGenerated) + " and " + strings.TrimSpace(endGenerated))
	}
	return slices.Concat(head, []byte(beginGenerated), []byte(s.facts(alert)), []byte(endGenerated), tail), nil
}

// facts say what an alert means.
func (s *Set) facts(alert string) string {
	var b strings.Builder
	for _, o := range s.SLOs {
		if o.Alert == alert {
			severity := Page + ", " + Ticket
			if o.NoPage {
				severity = Ticket
			}
			fmt.Fprintf(&b, "- **%s**: %s %v %% of them, over %s. Owner: %s; %s.\n", o.ID(), o.Description, o.Objective, span(s.Policy.Period), o.Owner, severity)
		}
	}
	for _, a := range s.Alerts {
		if a.Name == alert {
			fmt.Fprintf(&b, "- %s Owner: %s; %s, within %s.\n\n```\n%s\n```\n", a.Description, a.Owner, a.Severity, span(a.Within), a.Condition())
		}
	}
	return b.String()
}
