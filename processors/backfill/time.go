package backfill

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no zones, and the same file has to give the same events there
)

// clock reads times.
type clock struct {
	layouts []string
	zone    *time.Location // of layouts without one
}

// units are layouts of numbers since 1970.
var units = map[string]time.Duration{"unix": time.Second, "unix_ms": time.Millisecond, "unix_us": time.Microsecond, "unix_ns": time.Nanosecond}

func newClock(layouts []string, zone string) (c clock, err error) {
	if len(layouts) == 0 {
		layouts = []string{"rfc3339"}
	}
	if zone != "" {
		if c.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
			return c, fmt.Errorf("there is no time zone %q: name one of the IANA database, as Europe/London", zone)
		}
	}
	for _, l := range layouts {
		if l == "rfc3339" {
			l = time.RFC3339Nano
		}
		_, counted := units[l]
		switch {
		case counted:
		case strings.Contains(l, "MST"):
			return c, fmt.Errorf("layout %q has the abbreviation of a zone, which may mean several: use offsets, or say zone", l)
		case !strings.Contains(l, "06"):
			return c, fmt.Errorf("layout %q has no year: write how a file would write 2 January 2006, 15:04:05, or rfc3339, unix, unix_ms, unix_us, unix_ns", l)
		case !strings.Contains(l, "Z07") && !strings.Contains(l, "-07") && c.zone == nil:
			return c, fmt.Errorf("layout %q has no offset: say zone", l)
		}
		c.layouts = append(c.layouts, l)
	}
	return c, nil
}

func (c clock) read(s string) (time.Time, error) {
	for _, l := range c.layouts {
		if unit, ok := units[l]; ok {
			if t, err := count(s, unit); err == nil {
				return t, nil
			}
			continue
		}
		if c.zone == nil {
			if t, err := time.Parse(l, s); err == nil {
				return t.UTC(), nil
			}
			continue
		}
		if t, err := time.ParseInLocation(l, s, c.zone); err == nil {
			return c.settle(t, l, s)
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time like %s", s, strings.Join(c.layouts, " or "))
}

// settle refuses a time that clocks were put forward over, and takes the earlier of two
// that they showed twice.
func (c clock) settle(t time.Time, layout, s string) (time.Time, error) {
	if t.Location() != c.zone { // the text has an offset of its own
		return t.UTC(), nil
	}
	_, offset := t.Zone()
	if shown, err := time.Parse(layout, s); err == nil && shown.Unix() != t.Unix()+int64(offset) {
		return t, fmt.Errorf("%.40q never was in %s: clocks were put forward over it", s, c.zone)
	}
	for _, back := range []time.Duration{2 * time.Hour, time.Hour, 30 * time.Minute} {
		earlier := t.Add(-back)
		if _, before := earlier.Zone(); before-offset == int(back/time.Second) {
			return earlier.UTC(), nil
		}
	}
	return t.UTC(), nil
}

// count reads a time in units since 1970.
func count(s string, unit time.Duration) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	per := int64(time.Second / unit)
	if n/per > 1<<38 || n/per < -1<<38 { // of which no year is
		return time.Time{}, errors.New("out of range")
	}
	return time.Unix(n/per, n%per*int64(unit)).UTC(), nil
}

// appendTime writes a time as JSON has it.
func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}
