package console

import (
	"cmp"
	"context"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Alert is a condition that needs a person, or soon may.
type Alert struct {
	Name     string
	Severity string // page or ticket
	State    string // pending or firing
	SLO      string // ID of the objective that it watches, if any
	Summary  string
	Runbook  string // its name, or an address that ends in it
	Labels   map[string]string
	Since    time.Time
	Value    float64
}

// Severities and states that the page tells apart.
const (
	page   = "page"
	firing = "firing"
)

// alertView is an alert as it is listed.
type alertView struct {
	Alert
	Level     string
	Labels    []pair
	Reads     string // the value
	Path      string // of its runbook, if there is one
	Objective string // path of the objective that it watches, if it is shown
	N         int    // so many are alike but for their labels
}

// alertsNow are the pending and firing alerts, the most severe first. An
// objective that wakes a person makes no ticket beside it. With an error they are
// those of when they could be read.
func (c *Console) alertsNow(ctx context.Context) ([]Alert, error) {
	if c.Alerts == nil {
		return nil, nil
	}
	list, err := c.alerts.get(c.Now(), pulseFresh, ask(ctx, c.Alerts))
	if err != nil {
		list, _ = c.alerts.latest()
	}
	list = slices.DeleteFunc(slices.Clone(list), func(a Alert) bool {
		return a.SLO != "" && a.Severity != page && slices.ContainsFunc(list, func(b Alert) bool { return b.Name == a.Name && b.SLO == a.SLO && b.rank() == 0 })
	})
	slices.SortStableFunc(list, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), a.Since.Compare(b.Since), strings.Compare(a.Name, b.Name))
	})
	return list, err
}

// rank is 0 for what wakes a person now.
func (a *Alert) rank() (n int) {
	if a.State != firing {
		n += 2
	}
	if a.Severity != page {
		n++
	}
	return n
}

// alertViews are the alerts as they are listed: those of one name, which differ in
// their labels, are one row with a count and what they have in common.
func (c *Console) alertViews(ctx context.Context) (out []alertView, err error) {
	list, err := c.alertsNow(ctx)
	for _, a := range list {
		i := slices.IndexFunc(out, func(v alertView) bool {
			return v.Name == a.Name && v.Severity == a.Severity && v.State == a.State && v.SLO == a.SLO
		})
		v := c.alertView(a)
		if i < 0 {
			out = append(out, v)
			continue
		}
		o := &out[i]
		o.N++
		for n := range o.Labels {
			o.Labels[n].also(v.Labels)
		}
		if a.Since.Before(o.Since) {
			o.Since = a.Since
		}
	}
	return out, err
}

// valuesShown bounds the values of a label in which alerts of one row differ.
const valuesShown = 3

// also adds the value of a label's namesake to it.
func (p *pair) also(others []pair) {
	i := slices.IndexFunc(others, func(o pair) bool { return o.Name == p.Name })
	values := strings.Split(p.Value, ", ")
	switch {
	case i < 0 || slices.Contains(values, others[i].Value) || values[len(values)-1] == "…":
	case len(values) == valuesShown:
		p.Value += ", …"
	default:
		p.Value += ", " + others[i].Value
	}
}

func (c *Console) alertView(a Alert) alertView {
	v := alertView{Alert: a, Path: c.runbookPath(a), Level: [...]string{severe, warning, calm, calm}[a.rank()], Reads: strconv.FormatFloat(finite(a.Value), 'g', 3, 64), N: 1}
	if a.SLO != "" && c.SLOs != nil {
		v.Objective = "/slos#slo-" + url.PathEscape(a.SLO)
	}
	for _, p := range pairs(a.Labels) {
		if p.Name != "severity" && p.Name != "alertname" && !strings.HasPrefix(p.Name, "sloth_") {
			v.Labels = append(v.Labels, p)
		}
	}
	return v
}

// counted sums alerts up in a line: 3 page, 5 ticket, 1 pending.
func counted(views []alertView) (out []pair) {
	n := map[string]int{}
	var order []string
	for _, v := range views {
		what := v.Severity
		if v.State != firing {
			what = v.State
		}
		if n[what] == 0 {
			order = append(order, what)
		}
		n[what] += v.N
	}
	for _, what := range order {
		out = append(out, pair{count(int64(n[what])), what})
	}
	return out
}

// alertConcerns says if nobody watches.
func (c *Console) alertConcerns(ctx context.Context) (out []concern) {
	if _, err := c.alertsNow(ctx); err != nil {
		out = append(out, unreadable("The alerts", err, asOf(&c.alerts, c.Now(), err))...)
	}
	if _, err := c.objectives(ctx); err != nil {
		out = append(out, unreadable("The objectives", err, asOf(&c.slos, c.Now(), err))...)
	}
	return out
}

// runbookPath is where an alert's runbook is read: here, or where it says.
func (c *Console) runbookPath(a Alert) string {
	for _, name := range []string{path.Base(a.Runbook), a.Name} {
		if c.Runbook == nil {
			break
		}
		if _, ok := c.Runbook(name); ok {
			return "/runbooks/" + url.PathEscape(name)
		}
	}
	if u, err := url.Parse(a.Runbook); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		return a.Runbook
	}
	return ""
}
