package console

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AlertRule is an alert that is watched for, whether it fires or not.
type AlertRule struct {
	Name, Severity, Summary string
	SLO                     string // ID of the objective that it watches, if any
}

// Silence is what somebody has said not to call about, for a time.
type Silence struct {
	ID, By, Comment string
	Ends            time.Time
	Alerts          []string // names of the alerts that it keeps quiet now
}

// ruleView is an alert of the index.
type ruleView struct {
	AlertRule
	Path     string // of its runbook
	State    string // firing, pending or empty
	N        int    // so many fire, or are pending
	Silenced []Silence
}

// alertsBody is the index.
type alertsBody struct {
	Now, Silent []alertView // of those that are silenced there is a list of its own
	Counts      []pair
	Rules       []ruleView
	Old         string // how old their states are, if they cannot be read
	Trouble     string // that silences cannot be read
	HasSilences bool
}

func (c *Console) alertPage(w http.ResponseWriter, r *http.Request) {
	var b alertsBody
	views, err := c.alertViews(r.Context())
	b.Old = asOf(&c.alerts, c.Now(), err)
	var silences []Silence
	if b.HasSilences = c.Silences != nil; b.HasSilences {
		if silences, err = c.silences.get(c.Now(), pulseFresh, ask(r.Context(), c.Silences)); err != nil {
			silences, _ = c.silences.latest()
			b.Trouble = "The silences cannot be read now: " + asOf(&c.silences, c.Now(), err) + ". " + mask(firstLine(err.Error()))
		}
	}
	for _, v := range views {
		if quiet(silences, v.Name) != nil {
			b.Silent = append(b.Silent, v)
		} else {
			b.Now = append(b.Now, v)
		}
	}
	b.Counts = counted(b.Now)
	for _, a := range c.AlertRules {
		a.Summary = filledIn(a.Summary)
		v := ruleView{AlertRule: a, Path: c.runbookPath(Alert{Name: a.Name}), Silenced: quiet(silences, a.Name)}
		for _, x := range views {
			if x.Name != a.Name || x.Severity != a.Severity || x.SLO != a.SLO {
				continue
			}
			v.N += x.N
			if v.State != firing {
				v.State = x.State
			}
		}
		b.Rules = append(b.Rules, v)
	}
	slices.SortStableFunc(b.Rules, func(x, y ruleView) int { return strings.Compare(x.Name, y.Name) })
	c.show(w, r, http.StatusOK, "alerts", frame{Title: "Alerts", At: "alerts", Live: true, Body: &b})
}

// placeholder is what Prometheus fills in when an alert fires.
var placeholder = regexp.MustCompile(`\{\{\s*(?:\$labels\.(\w+))?[^}]*\}\}`)

// filledIn names what is filled in: ‹service›, or … for a value.
func filledIn(summary string) string {
	return placeholder.ReplaceAllStringFunc(summary, func(s string) string {
		if label := placeholder.FindStringSubmatch(s)[1]; label != "" {
			return "‹" + label + "›"
		}
		return "…"
	})
}

// quiet are the silences that an alert is under.
func quiet(all []Silence, alert string) (out []Silence) {
	for _, s := range all {
		if slices.Contains(s.Alerts, alert) {
			out = append(out, s)
		}
	}
	return out
}
