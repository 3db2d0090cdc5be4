package rulefile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Query parses an expression that others are to be made of, and returns what it
// selects. It refuses what Prometheus would, and what is no operand: values that are
// no instant vector, comments, and an expression that reads no series, or with a
// window above 0 not over that window.
func Query(expr string, window time.Duration) ([]*parser.VectorSelector, error) {
	tree, err := PromQL.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	if commented(expr) {
		return nil, errors.New("it has a comment, which would hide what follows it in a rule: write that into the description")
	}
	if t := tree.Type(); t != parser.ValueTypeVector {
		return nil, fmt.Errorf("it is a %s, and has to be an instant vector, as sum(rate(x[…])) is", parser.DocumentedType(t))
	}
	var found []*parser.VectorSelector
	windowed := window == 0
	parser.Inspect(tree, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			found = append(found, n)
		case *parser.MatrixSelector:
			windowed = windowed || n.Range == window
		case *parser.SubqueryExpr:
			windowed = windowed || n.Range == window
		}
		return nil
	})
	if len(found) == 0 || !windowed {
		return nil, errors.New("it reads no series over the window: there would never be an event")
	}
	return found, errors.Join(contradictions(found)...)
}

// commented tells whether an expression has a comment, where the lexer sees one.
func commented(expr string) bool {
	l := parser.Lex(expr)
	for {
		var i parser.Item
		l.NextItem(&i)
		switch i.Typ {
		case parser.COMMENT:
			return true
		case parser.EOF, parser.ERROR:
			return false
		}
	}
}

// contradictions are selectors that no series can match.
func contradictions(selectors []*parser.VectorSelector) (out []error) {
	for _, s := range selectors {
		for _, m := range s.LabelMatchers {
			for _, other := range s.LabelMatchers {
				if m.Type == labels.MatchEqual && other.Name == m.Name && !other.Matches(m.Value) {
					out = append(out, fmt.Errorf("no series can match %s", s))
				}
			}
		}
	}
	return out
}

// Bounds says which matchers of a selector ask for a bucket or a quantile in a way
// that Prometheus 3 does not write: it has le="1.0" where the program said 1.
func Bounds(s *parser.VectorSelector) (out []string) {
	for _, m := range s.LabelMatchers {
		if m.Name != labels.BucketLabel && m.Name != "quantile" {
			continue
		}
		asked := m.SetMatches()
		if m.Type == labels.MatchEqual {
			asked = []string{m.Value}
		}
		for _, value := range asked {
			if as := bound(value); !m.Matches(as) && (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp) {
				out = append(out, fmt.Sprintf("%s: Prometheus 3 writes %s=%q where a program says %s, and %s would never match: ask for %s=~%q",
					s, m.Name, as, value, m, m.Name, value+"|"+strings.ReplaceAll(as, ".", "[.]")))
			}
		}
	}
	return out
}

// bound is a number as Prometheus 3 writes it in le and quantile.
func bound(value string) string {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return value
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eIN") {
		s += ".0"
	}
	return s
}
