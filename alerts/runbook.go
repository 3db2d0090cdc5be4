package alerts

import (
	"bytes"
	"embed"
	"fmt"
	"strings"
)

//go:embed runbooks
var runbooks embed.FS

// factsMark is where the facts of a business belong into a runbook. The rest, its causes
// and cure, is written by hand.
const factsMark = "<!-- facts -->\n"

// handwritten is the runbook of one of the platform's alerts.
func handwritten(alert string) ([]byte, error) {
	b, err := runbooks.ReadFile("runbooks/" + alert + ".md")
	if err != nil {
		return nil, fmt.Errorf("alert %s has no runbook: %w", alert, err)
	}
	return b, nil
}

// Runbook is what to do about an alert, as Markdown: what it means in this set, causes,
// and cure. Of a service's own objective it says what can be said without knowing it.
func (s *Set) Runbook(alert string) ([]byte, error) {
	text, err := handwritten(alert)
	if err == nil {
		return bytes.Replace(text, []byte(factsMark), []byte(s.facts(alert)), 1), nil
	}
	own := ""
	for _, o := range s.SLOs {
		if o.Alert == alert {
			own += o.runbook
		}
	}
	if own == "" {
		return nil, err
	}
	return []byte("# " + alert + "\n\n" + s.facts(alert) + own), nil
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
