package backfill

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// condition is one that rows are asked for.
type condition struct {
	Condition
	at                  int // its column
	matches, notMatches *regexp.Regexp
	bounds              []bound
}

// bound holds a number to another one.
type bound struct {
	what string
	to   decimal
	fits func(comparison int) bool
}

func (p *plan) conditions(all []Condition, where string) (out []*condition, err error) {
	for i, from := range all {
		c, err := p.condition(from)
		if err != nil {
			return nil, fmt.Errorf("%s[%d] of the mapping: %w", where, i, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (p *plan) condition(from Condition) (*condition, error) {
	if from.Column == "" {
		return nil, errors.New("say of which column it is")
	}
	c := &condition{Condition: from, at: p.column(from.Column)}
	for _, pattern := range []struct {
		text string
		into **regexp.Regexp
	}{{from.Matches, &c.matches}, {from.NotMatches, &c.notMatches}} {
		if pattern.text == "" {
			continue
		}
		re, err := regexp.Compile(pattern.text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern.text, err)
		}
		*pattern.into = re
	}
	for _, b := range []struct {
		what, text string
		fits       func(int) bool
	}{{"above", from.Above, func(c int) bool { return c > 0 }}, {"at_least", from.AtLeast, func(c int) bool { return c >= 0 }},
		{"below", from.Below, func(c int) bool { return c < 0 }}, {"at_most", from.AtMost, func(c int) bool { return c <= 0 }}} {
		if b.text == "" {
			continue
		}
		to, err := notation{point: '.'}.parse(b.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.what, err)
		}
		c.bounds = append(c.bounds, bound{b.what + " " + b.text, to, b.fits})
	}
	if len(c.bounds) == 0 && c.says() == 0 {
		return nil, errors.New("it asks nothing: say is, is_not, begins, not_begins, matches, not_matches, above, at_least, below, at_most or empty")
	}
	return c, nil
}

// says counts what it asks beside bounds.
func (c *condition) says() (n int) {
	for _, said := range []bool{c.Is != nil, c.IsNot != nil, c.Begins != "", c.NotBegins != "", c.Matches != "", c.NotMatches != "", c.Empty != nil} {
		if said {
			n++
		}
	}
	return n
}

// met tells whether a row meets it. What is no number has no bounds: the row is refused.
func (c *condition) met(cells []string, numbers notation) (bool, error) {
	s := cells[c.at]
	switch {
	case c.Is != nil && !slices.Contains(c.Is, s),
		c.IsNot != nil && slices.Contains(c.IsNot, s),
		!strings.HasPrefix(s, c.Begins),
		c.NotBegins != "" && strings.HasPrefix(s, c.NotBegins),
		c.matches != nil && !c.matches.MatchString(s),
		c.notMatches != nil && c.notMatches.MatchString(s),
		c.Empty != nil && *c.Empty != (s == ""):
		return false, nil
	}
	if len(c.bounds) == 0 {
		return true, nil
	}
	n, err := numbers.parse(s)
	if err != nil {
		return false, fmt.Errorf("%s: %w", c.Column, err)
	}
	for _, b := range c.bounds {
		if !b.fits(n.compare(b.to)) {
			return false, nil
		}
	}
	return true, nil
}

// String is what it asks, for reports.
func (c *condition) String() string {
	out := []string{}
	for _, part := range []struct {
		what string
		say  []string
	}{{"is", c.Is}, {"is not", c.IsNot}, {"begins with", one(c.Begins)}, {"does not begin with", one(c.NotBegins)},
		{"matches", one(c.Matches)}, {"does not match", one(c.NotMatches)}} {
		if part.say != nil {
			out = append(out, fmt.Sprintf("%s %s %q", c.Column, part.what, strings.Join(part.say, ", ")))
		}
	}
	for _, b := range c.bounds {
		out = append(out, c.Column+" is "+strings.ReplaceAll(b.what, "_", " "))
	}
	switch {
	case c.Empty != nil && *c.Empty:
		out = append(out, c.Column+" is empty")
	case c.Empty != nil:
		out = append(out, c.Column+" is not empty")
	}
	return strings.Join(out, ", ")
}

func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
