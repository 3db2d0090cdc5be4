package business

import (
	"reflect"
	"slices"

	"github.com/weirstream/weir/streams"
)

// Always are the fields that every document of the view has: those that each source sets
// with which one begins, and those that need none.
func (v *View) Always() map[string]bool {
	out, sources := map[string]bool{}, 0
	for _, s := range v.From {
		if !v.BegunBy(s) {
			continue
		}
		set, _ := s.setByZero() // the check tells of an error
		for _, f := range v.All() {
			_, sets := set[f.Name]
			out[f.Name] = (sources == 0 || out[f.Name]) && sets
		}
		sources++
	}
	state := slices.ContainsFunc(v.States, func(s string) bool { return out[StateField(s)] })
	for _, f := range v.All() {
		switch f.Kind {
		case Count, Flag:
			out[f.Name] = true
		case State:
			out[f.Name] = state
		}
	}
	return out
}

// BegunBy tells whether a document begins with an event of a source.
func (v *View) BegunBy(s Source) bool {
	of := reflect.TypeOf(s.Event)
	return slices.ContainsFunc(v.Begins, func(e streams.Event) bool { return reflect.TypeOf(e) == of })
}
