package console

import (
	"html/template"
	"math"
	"net/url"
	"time"
)

// words are the functions of the templates.
func (c *Console) words() template.FuncMap {
	return template.FuncMap{
		"when":      func(t time.Time) stamp { return stampAt(t, c.Now()) },
		"since":     func(t time.Time) time.Duration { return c.Now().Sub(t) },
		"span":      span,
		"valueUnit": valueUnit,
		"number":    func(v float64) string { return count(int64(math.Round(finite(v)))) },
		"count":     func(n int) string { return count(int64(n)) },
		"perSecond": perSecond,
		"percent":   percent,
		"money":     money,
		"mask":      mask,
		"plural":    plural,
		"sagaPath":  func(correlation string) string { return "/sagas/" + url.PathEscape(correlation) },
		"tracePath": tracePath,
		"storyPath": c.storyPath,
		"spanPath":  spanPath,
		"upper":     upper,
		"field":     fieldName,
		"burn":      burn,
		"objective": objective,
		"add":       func(a, b float64) float64 { return a + b },
		"add1":      func(first, n int) int { return first + n - 1 },
		"half":      func(a float64) float64 { return a / 2 },
	}
}
