package console

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams/business"
)

// subject is the document that a saga is about.
type subject struct {
	view *business.View
	projection.Document
	now time.Time // when it is shown
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
	m, _ := s.Values[amountOf(s.view)].(projection.Money)
	return m
}

// amountOf is the first amount of a view's documents, or empty.
func amountOf(v *business.View) string {
	for _, f := range v.All() {
		if f.Kind == business.Amount && !f.Personal {
			return f.Name
		}
	}
	return ""
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

// Facts are what it holds beside its state and times, each with its name.
func (s *subject) Facts() (out []string) {
	for _, f := range s.view.All() {
		if f.Kind == business.State || f.Kind == business.Time || f.Kind == business.Flag || f.Personal || f.Name == business.Correlation {
			continue
		}
		if v := s.field(f); v.Text != "" {
			out = append(out, v.Name+" "+short(v.Text))
		}
	}
	return out
}

// fieldView is a field of a document as the page shows it.
type fieldView struct {
	Name   string
	Text   string // empty if it is not there yet
	At     stamp  // of a time, instead
	Number bool
}

// fieldName is a field's name in words.
func fieldName(name string) string { return strings.ReplaceAll(name, "_", " ") }

// textShown bounds a text among others.
const textShown = 120

func short(text string) string {
	if r := []rune(text); len(r) > textShown {
		return string(r[:textShown-1]) + "…"
	}
	return text
}

// field shows a field's value, of a personal one only whether there is one.
func (s *subject) field(f business.Field) fieldView {
	v := fieldView{Name: fieldName(f.Name)}
	switch value := s.Values[f.Name].(type) {
	case string:
		v.Text = mask(value)
	case int64:
		v.Text, v.Number = count(value), true
	case projection.Money:
		v.Text, v.Number = money(value), true
	case time.Time:
		v.At, v.Number = stampAt(value, s.now), true
	}
	switch f.Kind {
	case business.State:
		v.Text = s.State
	case business.Flag:
		v.Text = "no"
		if !s.at(f.Of).IsZero() {
			v.Text = "yes"
		}
	case business.Mean:
		of, _ := s.Values[f.Of].(int64)
		if per, _ := s.Values[f.Per].(int64); per != 0 {
			v.Text = strconv.FormatFloat(float64(of)/float64(per), 'g', 3, 64)
		}
		v.Number = true
	}
	if f.Personal && (v.Text != "" || v.At.Machine != "") {
		v.Text, v.At = hidden, stamp{}
	}
	return v
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
	return &subject{v, d, c.Now()}, nil
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
