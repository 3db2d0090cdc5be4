package business

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"github.com/weirstream/weir/streams"
)

var viewName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// checkViews reports views that could not be kept, or would depend on what is read first.
func (b *Business) checkViews(t *streams.Topology) (errs []error) {
	names, paths := map[string]bool{}, map[string]bool{}
	for _, s := range b.Services {
		for _, v := range s.Views {
			bad := func(format string, args ...any) {
				errs = append(errs, fmt.Errorf("view %q of service %q: "+format, append([]any{v.Name, s.Name}, args...)...))
			}
			if !viewName.MatchString(v.Name) || !viewName.MatchString(v.One) || names[v.Name] {
				bad("its name and that of one document, %q, are words in lower case, and no other view's", v.One)
			}
			if !pathRule.MatchString(v.Path) || len(pathParam.FindAllString(v.Path, -1)) > 0 || paths[v.Path] {
				bad("its path %q is not of the form /v1/things, or another view's", v.Path)
			}
			checkPath(v.Path, bad)
			if ReservedPage(v.Name) {
				bad("a page of the platform is called so: call it otherwise")
			}
			if slices.Contains(reserved, v.One) || v.History && v.One == historyEvents {
				bad("one document is called %q, which has a meaning of its own in an answer: call it otherwise", v.One)
			}
			names[v.Name], paths[v.Path] = true, true
			if v.Key == nil || v.Title == "" || len(v.Begins) == 0 || len(v.From) == 0 {
				bad("it needs a key, a title, the events that it begins with, and those that it is made of")
				continue
			}
			if err := v.checkFunctions(); err != nil {
				bad("%w", err)
				continue
			}
			v.checkFields(bad)
			v.checkSources(t, bad)
		}
	}
	return errs
}

// checkFunctions wants the view's functions to say what they set: all else follows from it.
func (v *View) checkFunctions() error {
	for i, s := range v.From {
		if s.apply == nil {
			return fmt.Errorf("source %d is empty: make it with business.On, business.Takes or business.OnOther", i+1)
		}
		if _, err := s.setByZero(); err != nil {
			return fmt.Errorf("source %d, of %T: %w", i+1, s.Event, err)
		}
	}
	return nil
}

// reserved names of fields have a meaning of their own.
var reserved = []string{"page", "after", "key", "begun", "correlation_id"}

// historyEvents is what the answer about a document's history has beside its key.
const historyEvents = "events"

func (v *View) checkFields(bad func(string, ...any)) {
	seen := map[string]bool{v.One: true}
	is := func(name string, kinds ...Kind) bool {
		f, ok := v.Field(name)
		return ok && slices.Contains(kinds, f.Kind)
	}
	for _, f := range v.All() {
		if !viewName.MatchString(f.Name) || seen[f.Name] || slices.Contains(reserved, f.Name) {
			bad("field %q is there twice, or is not called by words in lower case, or by one of %v", f.Name, reserved)
		}
		seen[f.Name] = true
		switch f.Kind {
		case Text, Count, Time, Amount:
		case State:
			if len(v.States) == 0 {
				bad("field %q is its state, and it has no States", f.Name)
			}
		case Flag:
			if !is(f.Of, Time) {
				bad("field %q says whether %q is there, which is no time of the view", f.Name, f.Of)
			}
		case Mean:
			if !is(f.Of, Count) || !is(f.Per, Count) {
				bad("field %q is the mean of %q per %q, which are no two counts of the view", f.Name, f.Of, f.Per)
			}
		default:
			bad("field %q is of the kind %q, which there is not", f.Name, f.Kind)
		}
		if f.Filter && f.Kind != Text && f.Kind != State {
			bad("field %q cannot be filtered by: texts and states can", f.Name)
		}
		if f.Personal && (f.Filter || f.Name == v.Sort) {
			bad("field %q is personal, and the list would tell it to who guesses: it can be neither a Filter nor the Sort", f.Name)
		}
	}
	if v.Sort != "" && !is(v.Sort, Time, Count) {
		bad("it is sorted by %q, which is no time and no count of it", v.Sort)
	}
}

// checkSources calls each source with a zero event, as all events of a type set the same
// names.
func (v *View) checkSources(t *streams.Topology, bad func(string, ...any)) {
	setBy, setOnce := map[string]string{}, map[string]bool{}
	sources := map[string]bool{}
	for _, s := range v.From {
		f, ok := t.Vocabulary.FactOf(s.Event)
		switch {
		case !ok:
			bad("it is made of %T, which is no registered event", s.Event)
			continue
		case f.Private:
			bad("it is made of %s, which is private to its service and on no log", f.Name)
			continue
		case s.key != reflect.TypeOf(v.Key):
			bad("%s speaks of a %v, and its documents are of %T", f.Name, s.key, v.Key)
			continue
		case sources[f.Name]:
			bad("%s is there twice", f.Name)
			continue
		}
		sources[f.Name] = true
		v.checkTaken(s, f.Name, bad)
		set, _ := s.setByZero() // checkFunctions told of an error
		for _, name := range slices.Sorted(maps.Keys(set)) {
			field, ok := v.Field(name)
			_, adds := set[name].(Plus)
			if err, failed := set[name].(error); failed {
				bad("%s: %w", f.Name, err)
			} else if !ok || field.Kind != kindOf(set[name]) {
				bad("%s sets %q to a %T, which is no field of the view, or of another kind", f.Name, name, set[name])
			} else if s.other && !adds && field.Kind != Time {
				bad("%s sets %q of another key's document: events of several keys are read in any order, so they can count and tell the latest time only", f.Name, name)
			} else if by, once := setBy[name], !adds && !s.other; by != "" && (once || setOnce[name]) {
				bad("%s and %s both set %q: whatever is read last would count", by, f.Name, name)
			} else {
				setBy[name], setOnce[name] = f.Name, once
			}
		}
	}
	for _, e := range v.Begins {
		if f, ok := t.Vocabulary.FactOf(e); !ok || !sources[f.Name] {
			bad("it begins with %T, which it is not made of", e)
		}
	}
}

// checkTaken refuses to show what an event declares personal.
func (v *View) checkTaken(s Source, event string, bad func(string, ...any)) {
	for _, name := range s.takes {
		taken, _ := fieldNamed(reflect.TypeOf(s.Event), name)
		rule, _ := streams.Rule(taken)
		if shown, _ := v.Field(name); rule.Personal && !shown.Personal {
			bad("it takes %q of %s, which is tagged personal there: take it out, or declare it in Fields as business.Field{Name: %q, Kind: …, Personal: true}", name, event, name)
		}
	}
}
