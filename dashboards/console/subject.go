package console

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// subject is the document that a saga is about.
type subject struct {
	view *business.View
	projection.Document
}

// at is the time in a field; zero until it is known.
func (s *subject) at(field string) time.Time {
	t, _ := s.Values[field].(time.Time)
	return t
}

func (s *subject) text(field string) string {
	text, _ := s.Values[field].(string)
	return text
}

// Amount is the first amount of it.
func (s *subject) Amount() projection.Money {
	for _, f := range s.view.All() {
		if m, ok := s.Values[f.Name].(projection.Money); ok && !f.Personal {
			return m
		}
	}
	return projection.Money{}
}

// Whose is the first text by which documents of its view can be chosen.
func (s *subject) Whose() string { return s.text(chosenBy(s.view)) }

// chosenBy is the first text field by which documents can be chosen, or empty.
func chosenBy(v *business.View) string {
	for _, f := range v.All() {
		if f.Kind == business.Text && f.Filter && !f.Personal {
			return f.Name
		}
	}
	return ""
}

// Facts are how many there are of what it counts, its amounts, and whose it is.
func (s *subject) Facts() (out []string) {
	for _, f := range s.view.All() {
		switch value := s.Values[f.Name].(type) {
		case int64:
			if !f.Personal {
				out = append(out, plural(int(value), strings.TrimSuffix(f.Name, "s")))
			}
		case projection.Money:
			if !f.Personal {
				out = append(out, money(value))
			}
		}
	}
	if by := chosenBy(s.view); by != "" {
		out = append(out, by+" "+mask(s.text(by)))
	}
	return out
}

// subjectViews are those whose documents the sagas are about, each once.
func (c *Console) subjectViews() (out []*business.View) {
	seen := map[*business.View]bool{}
	for _, s := range c.Business.Sagas {
		if v, ok := c.Business.ViewOf(s.Starts.Key().Kind()); ok && !seen[v] {
			seen[v], out = true, append(out, v)
		}
	}
	return out
}

// subjectOf is what a saga's first event is about, nil if no view has it.
func (c *Console) subjectOf(ctx context.Context, s projection.Saga) (*subject, error) {
	kind, key, _ := strings.Cut(s.Subject, "/")
	v, ok := c.Business.ViewOf(kind)
	if !ok {
		return nil, nil
	}
	return c.find(ctx, v, key)
}

// find is a document of a view, nil if there is none.
func (c *Console) find(ctx context.Context, v *business.View, key string) (*subject, error) {
	d, err := c.Reads.Document(ctx, v, key)
	if errors.Is(err, projection.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &subject{v, d}, nil
}

// firstEvents are those of a correlation, and those about its subject.
func (c *Console) firstEvents(ctx context.Context, correlation string, about *subject, limit int) ([]projection.Entry,
	error) {
	kind, key := "", ""
	if about != nil {
		kind, key = about.view.Key.Kind(), about.Key
	}
	return c.Reads.FirstEvents(ctx, correlation, kind, key, limit)
}
