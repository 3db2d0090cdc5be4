package console

import "time"

// asOf says how old what is shown is, if it cannot be read now.
func asOf[T any](k *kept[T], now time.Time, err error) string {
	if err == nil {
		return ""
	}
	if _, at := k.latest(); !at.IsZero() {
		return "as of " + stampAt(at, now).Ago
	}
	return notKnown
}

const notKnown = "not known"

// readModel says how far the rows of this page are behind, and whether that is
// worth a colour.
func (c *Console) readModel() (says string, late bool) {
	records, age, err := c.ReadsBehind()
	switch {
	case err != nil:
		return notKnown, true
	case records == 0:
		return "up to date", false
	case age < slow:
		return plural(int(records), "record") + " behind", false
	}
	return span(age) + " behind, " + plural(int(records), "record"), true
}

// stale says how old the latest reading is, if Run has stopped reading, or never began.
func (c *Console) stale(last reading) string {
	switch age := c.Now().Sub(last.at); {
	case last.at.IsZero() && c.Now().Sub(c.began) > 5*sampleEvery:
		return "not measured"
	case last.at.IsZero() || age <= 5*sampleEvery:
		return ""
	default:
		return "as of " + coarse(age) + " ago"
	}
}

// behind says how old what a page shows of the read model is, if that is worth a word.
func (c *Console) behind() string {
	records, age, err := c.ReadsBehind()
	switch {
	case err != nil:
		return "How far the read model is behind is not known: documents and sagas may be older than they look."
	case records > 0 && age >= slow:
		return "The read model is " + span(age) + " behind, " + plural(int(records), "record") + ": documents and sagas are shown as of " + stampAt(c.Now().Add(-age), c.Now()).Clock + "."
	}
	return ""
}
