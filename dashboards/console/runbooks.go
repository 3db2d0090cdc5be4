package console

import (
	"bytes"
	"context"
	"html/template"
	"net/http"
	"path"

	"github.com/yuin/goldmark"
)

// runbookBody is what to do about an alert.
type runbookBody struct {
	Text   template.HTML
	Alerts []alertView // those that it is for, as they are now
}

func (c *Console) runbookPage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	var text string
	ok := false
	if c.Runbook != nil {
		text, ok = c.Runbook(name)
	}
	if !ok {
		c.problem(w, r, http.StatusNotFound, "There is no runbook of this name.")
		return
	}
	var b bytes.Buffer
	if err := goldmark.Convert([]byte(text), &b); err != nil { // it drops HTML and addresses that are scripts
		c.broken(w, r, err)
		return
	}
	c.show(w, r, http.StatusOK, "runbook", frame{Title: name, At: "alerts", Live: true, Body: runbookBody{template.HTML(b.String()), c.alertsOf(r.Context(), name)}})
}

// alertsOf are the alerts that a runbook is for.
func (c *Console) alertsOf(ctx context.Context, runbook string) (out []alertView) {
	all, _ := c.alertViews(ctx) // the list of concerns says if they cannot be read
	for _, a := range all {
		if a.Name == runbook || path.Base(a.Runbook) == runbook {
			a.Path = "" // it is open
			out = append(out, a)
		}
	}
	return out
}
