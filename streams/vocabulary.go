package streams

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Fact is a registered type of event: its name on the wire, its version, the
// kind of its key, and the Go type that carries it.
type Fact struct {
	Name     string
	Version  int
	Kind     string // of the key
	External bool   // posted from outside, through ingestion
	Private  bool   // stays in its decider's store
	Happened string // for people, what it says: "the bill was paid"
	ToDo     string // for people, what it takes to bring it about: "has to pay the bill"
	Type     reflect.Type
	decode   func([]byte) (Event, error)
	upcasts  map[int]upcast
	bad      error // in its declaration
}

type upcast struct {
	from, to reflect.Type
	decode   func([]byte) (any, error)
	next     func(any) any
}

// FactOption adjusts a Fact.
type FactOption func(*Fact)

// NewFact registers the event type E under a name, at version 1.
func NewFact[E Event](name string, opts ...FactOption) Fact {
	var zero E
	f := Fact{Name: name, Version: 1, Kind: zero.Key().Kind(), Type: reflect.TypeFor[E](),
		Happened: strings.NewReplacer(".", " ", "-", " ").Replace(name), ToDo: "has to bring about " + name,
		decode: func(b []byte) (Event, error) { return decodeAs[E](b) }, upcasts: map[int]upcast{}}
	for _, o := range opts {
		o(&f)
	}
	return f
}

// External declares that the event is posted from outside. No decider may
// emit it, and only such events are accepted by ingestion.
func External() FactOption { return func(f *Fact) { f.External = true } }

// Private declares that the event is its decider's own bookkeeping: it is stored
// and folded like any other, but never published, and nobody may react to it.
func Private() FactOption { return func(f *Fact) { f.Private = true } }

// Words are what people read instead of the event's name: what it says as a clause
// without a full stop, and what somebody has to do to bring it about, which begins with
// "has to". Without them both are made of the name.
func Words(happened, todo string) FactOption {
	return func(f *Fact) { f.Happened, f.ToDo = happened, todo }
}

// Upcast declares how data of version from, decoded as Old, becomes the next
// version. Upcasters chain: From(1) to New, From(2) to the type after it; the
// last yields the fact's own type. The fact's version is one above the last.
func Upcast[Old, New any](from int, f func(Old) New) FactOption {
	return func(fact *Fact) {
		fact.Version = max(fact.Version, from+1)
		if _, ok := fact.upcasts[from]; ok || from < 1 {
			fact.bad = fmt.Errorf("event %q has a second upcaster from version %d, or one from below 1", fact.Name, from)
		}
		fact.upcasts[from] = upcast{from: reflect.TypeFor[Old](), to: reflect.TypeFor[New](),
			decode: func(b []byte) (any, error) { return decodeAs[Old](b) },
			next:   func(v any) any { return f(v.(Old)) },
		}
	}
}

// NewerVersionError says that a record was written by newer code than ours.
type NewerVersionError struct {
	Type     string
	Got, Has int
}

func (e *NewerVersionError) Error() string {
	return fmt.Sprintf("event type %s has version %d, this program knows up to %d: upgrade consumers before producers", e.Type, e.Got, e.Has)
}

// Decode reads data of a version as the fact's Go type, upcasting as needed.
func (f *Fact) Decode(version int, data []byte) (e Event, err error) {
	written := version
	defer func() {
		if p := recover(); p != nil { // of an upcaster
			e, err = nil, fmt.Errorf("data of %s v%d cannot be read: panic: %v", f.Name, written, p)
		}
	}()
	switch {
	case version == f.Version:
		e, err := f.decode(data)
		if err != nil {
			return nil, fmt.Errorf("data of %s v%d cannot be read: %w", f.Name, version, err)
		}
		return e, nil
	case version > f.Version:
		return nil, &NewerVersionError{f.Name, version, f.Version}
	}
	up, ok := f.upcasts[version]
	if !ok {
		return nil, fmt.Errorf("event type %s has no upcaster from version %d: declare streams.Upcast(%d, …)", f.Name, version, version)
	}
	v, err := up.decode(data)
	if err != nil {
		return nil, fmt.Errorf("data of %s v%d cannot be read: %w", f.Name, version, err)
	}
	for ; version < f.Version; version++ {
		up, ok := f.upcasts[version]
		if !ok {
			return nil, fmt.Errorf("event type %s has no upcaster from version %d", f.Name, version)
		}
		v = up.next(v)
	}
	e, ok = v.(Event)
	if !ok || reflect.TypeOf(e) != f.Type {
		return nil, fmt.Errorf("upcasters of %s end in %T, not in %v", f.Name, v, f.Type)
	}
	return e, nil
}

// Vocabulary is every event type that a platform speaks.
type Vocabulary struct {
	facts  []Fact
	byName map[string]*Fact
	byType map[reflect.Type]*Fact
}

// NewVocabulary gathers facts; a name or Go type used twice is an error.
func NewVocabulary(facts ...Fact) (*Vocabulary, error) {
	v := &Vocabulary{facts: facts, byName: map[string]*Fact{}, byType: map[reflect.Type]*Fact{}}
	for i := range facts {
		f := &facts[i]
		if o := v.byName[f.Name]; o != nil {
			return nil, fmt.Errorf("event name %q is registered for %v and for %v: rename one", f.Name, o.Type, f.Type)
		}
		if o := v.byType[f.Type]; o != nil {
			return nil, fmt.Errorf("event type %v is registered as %q and as %q: keep one", f.Type, o.Name, f.Name)
		}
		if err := errors.Join(f.check(), checkTags(f.Type, map[reflect.Type]bool{})); err != nil {
			return nil, err
		}
		v.byName[f.Name], v.byType[f.Type] = f, f
	}
	return v, nil
}

// place is where a type stands in the vocabulary.
func (v *Vocabulary) place(name string) int {
	return slices.IndexFunc(v.facts, func(f Fact) bool { return f.Name == name })
}

var factRule = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,127}$`)

// check reports a bad name and a chain of upcasters that does not hold.
func (f *Fact) check() error {
	if !factRule.MatchString(f.Name) {
		return fmt.Errorf("event type %v is called %q: use lower case letters, digits, dots and dashes", f.Type, f.Name)
	}
	if what, ok := strings.CutPrefix(f.ToDo, "has to "); !ok || what == "" || f.Happened == "" {
		return fmt.Errorf("event %q says %q and takes %q: "+
			"give streams.Words a clause, and one that begins with \"has to \"", f.Name, f.Happened, f.ToDo)
	}
	for n := 1; n < f.Version; n++ {
		up, ok := f.upcasts[n]
		if !ok {
			return fmt.Errorf("event %q is at version %d but has no upcaster from version %d: declare streams.Upcast(%d, …)", f.Name, f.Version, n, n)
		}
		next := f.Type
		if after, ok := f.upcasts[n+1]; ok {
			next = after.from
		}
		if up.to != next {
			return fmt.Errorf("event %q: its upcaster from version %d makes %v, but version %d is %v: let it make that", f.Name, n, up.to, n+1, next)
		}
	}
	return f.bad
}

// Facts lists the registered types in the order of their registration.
func (v *Vocabulary) Facts() []Fact { return v.facts }

// Fact finds a type by its name on the wire.
func (v *Vocabulary) Fact(name string) (*Fact, bool) {
	f, ok := v.byName[name]
	return f, ok
}

// FactOf finds the registered type of an event value.
func (v *Vocabulary) FactOf(e Event) (*Fact, bool) {
	f, ok := v.byType[reflect.TypeOf(e)]
	return f, ok
}
