package console

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/weirstream/weir/processors/projection"
)

// looks says what can be looked for by name.
func (c *Console) looks() string {
	var names []string
	for _, v := range c.Business.Views() {
		names = append(names, fieldName(v.One))
	}
	for _, v := range c.Business.Views() {
		if by := chosenBy(v); by != "" {
			names = append(names, fieldName(by))
		}
	}
	return strings.Join(append(unique(names), "correlation"), ", ") + " or trace"
}

func unique(names []string) (out []string) {
	seen := map[string]bool{}
	for _, n := range names {
		if !seen[n] {
			seen[n], out = true, append(out, n)
		}
	}
	return out
}

// named is the page of what is called so: a document, a correlation, a trace, or the
// documents that have the name in the first text that they can be chosen by. It is empty if
// nothing is.
func (c *Console) named(ctx context.Context, name string) (path string, err error) {
	for _, v := range c.Business.Views() {
		if about, err := c.find(ctx, v, name); about != nil || err != nil {
			return documentPath(v, name), err
		}
	}
	if _, err = c.Reads.Saga(ctx, name); err == nil {
		return "/sagas/" + url.PathEscape(name), nil
	}
	if !errors.Is(err, projection.ErrNotFound) {
		return "", err
	}
	id := strings.ToLower(name)
	if len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" {
		if spans, _ := c.spansOf(ctx, id); len(spans) > 0 { // if Jaeger does not answer, the list says so
			return tracePath(id, ""), nil
		}
	}
	for _, v := range c.Business.Views() {
		by := chosenBy(v)
		if by == "" {
			continue
		}
		found, err := c.Reads.List(ctx, projection.ListQuery{View: v, Filter: map[string]string{by: name}, Limit: 1})
		if len(found) > 0 || err != nil {
			return pathOf("/"+v.Name, by, name), err
		}
	}
	return "", nil
}
