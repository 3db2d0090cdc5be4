package analytics

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var paramNames = []string{"from", "to", "zone", "by", "where", "key", "limit"}

// ReadParams reads the query of an address at which a question is asked.
func ReadParams(query string, now time.Time) (p Params, err error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return p, fmt.Errorf("the query cannot be read: %w", err)
	}
	for name, values := range q {
		if !slices.Contains(paramNames, name) || len(values) > 1 && name != "by" && name != "where" {
			return p, fmt.Errorf("parameter %q is not known here or given twice: there are %s", name, strings.Join(paramNames, ", "))
		}
	}
	p.Zone, p.Key = q.Get("zone"), q.Get("key")
	for _, list := range q["by"] {
		p.By = append(p.By, strings.FieldsFunc(list, func(r rune) bool { return r == ',' })...)
	}
	for _, pair := range q["where"] {
		name, value, ok := strings.Cut(pair, "=")
		if _, twice := p.Where[name]; !ok || twice {
			return p, fmt.Errorf("where %q is not of the form dimension=value, or names one twice", pair)
		}
		if p.Where == nil {
			p.Where = map[string]string{}
		}
		p.Where[name] = value
	}
	if s := q.Get("limit"); s != "" {
		if p.Limit, err = strconv.Atoi(s); err != nil || p.Limit < 1 {
			return p, fmt.Errorf("limit %q is not a whole number from 1 to %d", s, MaxLimit)
		}
	}
	if p.From, err = instant("from", q.Get("from"), p.Zone, now); err != nil {
		return p, err
	}
	p.To, err = instant("to", q.Get("to"), p.Zone, now)
	return p, err
}

// instant is a time of RFC 3339, how long ago, or the beginning of a day in the question's
// time zone.
func instant(name, text, zone string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if d, ok := Ago(text); ok {
		return now.Add(-d).Truncate(time.Second), nil
	}
	at, err := time.LoadLocation(zone)
	if err != nil {
		at = time.UTC // whoever answers refuses it
	}
	t, err := time.ParseInLocation(time.DateOnly, text, at)
	if err != nil {
		return t, fmt.Errorf("%s %q is neither a day, as 2010-12-01, nor a time, as 2010-12-01T08:00:00Z, nor how long ago, as 7d", name, text)
	}
	return t, nil
}

var (
	agoForm = regexp.MustCompile(`^([0-9]{1,4})([mhdw])$`)
	agoUnit = map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
)

// Ago reads how long ago something was: 90m, 12h, 7d, 4w.
func Ago(text string) (d time.Duration, ok bool) {
	m := agoForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.Atoi(m[1])
	return time.Duration(n) * agoUnit[m[2]], true
}
