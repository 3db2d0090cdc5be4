package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Fault is something that can be broken on purpose, to see what follows.
type Fault struct {
	Name   string
	What   string   // it does
	Effect string   // that is to be seen
	Alerts []string // that must fire
	On     bool
	Since  time.Time // of its being on or off, zero if it was never on
}

// faultView is a fault with its alerts as they are now.
type faultView struct {
	Fault
	Watch []watched
}

// watched is an alert that has to fire.
type watched struct {
	Name  string
	State string // firing, pending or none
	Path  string // of its runbook, if there is one
}

// faultsBody is the page of faults.
type faultsBody struct {
	Faults []faultView
	CanAct bool
	Result *result
}

// faultsOn are the faults that are on now.
func (c *Console) faultsOn() []Fault {
	if c.Faults == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Faults()), func(f Fault) bool { return !f.On })
}

func (c *Console) faultPage(w http.ResponseWriter, r *http.Request) {
	b := faultsBody{CanAct: c.SwitchFault != nil, Result: c.results.find(r.URL.Query().Get("result"))}
	alerts, _ := c.alertsNow(r.Context()) // the list of concerns says if they cannot be read
	for _, f := range c.Faults() {
		v := faultView{Fault: f}
		for _, name := range f.Alerts {
			x := watched{Name: name, Path: c.runbookPath(Alert{Name: name})}
			if i := slices.IndexFunc(alerts, func(a Alert) bool { return a.Name == name }); i >= 0 {
				x.State = alerts[i].State
			}
			v.Watch = append(v.Watch, x)
		}
		b.Faults = append(b.Faults, v)
	}
	c.show(w, r, http.StatusOK, "faults", frame{Title: "Faults", At: "faults", Live: true, Body: b})
}

// switchFault answers the button of a fault.
func (c *Console) switchFault(w http.ResponseWriter, r *http.Request) {
	if !c.asked(w, r) {
		return
	}
	name, on := r.PostForm.Get("name"), r.PostForm.Get("on") == "true"
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	err := c.SwitchFault(ctx, name, on)
	word := map[bool]string{true: "on", false: "off"}[on]
	x := result{At: c.Now(), Class: "ok", Text: fmt.Sprintf("%s is %s.", mask(name), word)}
	if err != nil {
		x.Class, x.Text = "bad", fmt.Sprintf("%s could not be switched %s: %s", mask(name), word, mask(err.Error()))
	}
	c.Log.InfoContext(ctx, "fault switched from the live page", "fault", name, "on", on, "error", err)
	c.need.forget()
	http.Redirect(w, r, "/faults?result="+strconv.Itoa(c.results.add(x)), http.StatusSeeOther)
}
