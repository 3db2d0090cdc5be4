package streams

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Input is what a decision may know beside its state and the thing decided
// about. There is no other clock and no other source of ids.
type Input struct {
	ID          string    // of the event, command, timer or outcome
	Key         string    // of the decider
	At          time.Time // the lane's clock at admission: never goes back within a lane
	Correlation string    // the saga
	cause       string    // what ids derive from
}

// NewID derives an id that is the same whenever this input is decided again.
func (in Input) NewID(label string) string { return deriveID(in.base(), "new", label) }

func (in Input) base() string {
	if in.cause == "" {
		return in.ID
	}
	return in.cause
}

// Decision is what a decider answers: events, timers, intents and a reply, or
// a refusal. It is a value; each method returns an extended copy.
type Decision struct {
	events  []Event
	timers  []timerSet
	cancels []string
	intents []Intent
	reply   any
	reject  *Rejection
	err     error
}

type timerSet struct {
	name  string
	after time.Duration
	body  any
}

// Rejection is a business refusal. It answers a command; on any other input it
// is counted and logged and the cursor moves on.
type Rejection struct {
	Class  Class  `json:"class,omitempty"` // of those stored by older versions: none
	Code   string `json:"code"`            // stable, for programs: "already-shipped"
	Detail string `json:"detail"`          // for a person
}

// Class says why a request is refused, whatever it asks for: who answers over HTTP
// takes the status from it and from nothing else.
type Class string

// The classes of rejections.
const (
	Invalid   Class = "invalid"   // the request's content makes no sense
	Missing   Class = "missing"   // what it is about is not there
	Conflict  Class = "conflict"  // what it is about is in a state that forbids it
	Forbidden Class = "forbidden" // who asks may not
)

// check reports a rejection that no client could be told: its class decides the status of
// the answer, and its code stands in an address.
func (r *Rejection) check() error {
	switch {
	case r == nil:
		return nil
	case !slices.Contains([]Class{Invalid, Missing, Conflict, Forbidden}, r.Class):
		return fmt.Errorf("rejected with the class %q, which there is not: take %q, %q, %q or %q", r.Class, Invalid, Missing, Conflict, Forbidden)
	case !nameRule.MatchString(r.Code):
		return fmt.Errorf("rejected with the code %q: use lower case letters, digits and dashes", r.Code)
	}
	return nil
}

func (r *Rejection) Error() string { return r.Code + ": " + r.Detail }

// Nothing is the decision that changes nothing.
func Nothing() Decision { return Decision{} }

// Emit decides that the events happened, in this order.
func Emit(events ...Event) Decision { return Decision{events: events} }

// Reject refuses the input. Nothing else of the decision is kept.
func Reject(class Class, code, format string, args ...any) Decision {
	return Decision{reject: &Rejection{class, code, fmt.Sprintf(format, args...)}}
}

// Fail reports that the decision cannot be made: a bug or damaged data. The
// key is parked until somebody retries or drops the input.
func Fail(err error) Decision { return Decision{err: err} }

// Emit adds events.
func (d Decision) Emit(events ...Event) Decision {
	d.events = append(d.events[:len(d.events):len(d.events)], events...)
	return d
}

// After sets this key's timer of a declared name, replacing one already set.
// Its body comes back as the timer's input, no earlier than after.
func (d Decision) After(name string, after time.Duration, body any) Decision {
	d.timers = append(d.timers[:len(d.timers):len(d.timers)], timerSet{name, after, body})
	return d
}

// Cancel takes back this key's timers of these names, set or not.
func (d Decision) Cancel(names ...string) Decision {
	d.cancels = append(d.cancels[:len(d.cancels):len(d.cancels)], names...)
	return d
}

// Do asks for an outside effect: Do(authorise.With(Authorise{…})).
func (d Decision) Do(intents ...Intent) Decision {
	d.intents = append(d.intents[:len(d.intents):len(d.intents)], intents...)
	return d
}

// Reply answers the command. v is encoded as JSON.
func (d Decision) Reply(v any) Decision {
	d.reply = v
	return d
}

// InputKind says what an input of a decider is.
type InputKind string

// The kinds of input.
const (
	EventInput   InputKind = "event"
	CommandInput InputKind = "command"
	TimerInput   InputKind = "timer"
	OutcomeInput InputKind = "outcome"
)

// Part is one decision of a decider, or an option of it.
type Part[S any] struct {
	reaction *reaction
	option   func(*Decider)
}

// reaction is a decision with its types erased.
type reaction struct {
	kind   InputKind
	name   string       // of the command, timer or effect; filled from the vocabulary for events
	in     reflect.Type // what decide takes
	emits  []Event      // zero values
	effect *effect      // for outcomes
	asks   []*effect    // that the decision may ask for
	from   Start        // for events
	decode func([]byte) (any, error)
	decide func(state, in any, meta Input) Decision
}

// Asks declares the effects that the decision may ask for.
func (p Part[S]) Asks(effects ...interface{ itself() *effect }) Part[S] {
	r := *p.reaction
	for _, e := range effects {
		r.asks = append(r.asks[:len(r.asks):len(r.asks)], e.itself())
	}
	return Part[S]{reaction: &r}
}

// Start says where a decider that is new to an event begins to read.
type Start string

// All reads the topic from its first record and refuses a truncated one; Now
// reads what comes after the lane's first claim.
const (
	All Start = "all"
	Now Start = "now"
)

func react[S, E any](kind InputKind, name string, decide func(S, E, Input) Decision, emits []Event) Part[S] {
	return Part[S]{reaction: &reaction{kind: kind, name: name, in: reflect.TypeFor[E](), emits: emits, from: All,
		decode: func(b []byte) (any, error) { return decodeAs[E](b) },
		decide: func(s, in any, meta Input) Decision { return decide(*s.(*S), in.(E), meta) }}}
}

// On decides about an event, and names all that it may emit.
func On[S any, E Event](decide func(S, E, Input) Decision, emits ...Event) Part[S] {
	return react(EventInput, "", decide, emits)
}

// OnNew is On for an event whose history does not matter: a new consumer
// starts with what comes after its first claim.
func OnNew[S any, E Event](decide func(S, E, Input) Decision, emits ...Event) Part[S] {
	p := react(EventInput, "", decide, emits)
	p.reaction.from = Now
	return p
}

// While has a decision made in some states only: in all others, the input changes
// nothing.
func While[S, E any](in func(S) bool, decide func(S, E, Input) Decision) func(S, E, Input) Decision {
	return func(s S, e E, meta Input) Decision {
		if !in(s) {
			return Nothing()
		}
		return decide(s, e, meta)
	}
}

// OnCommand decides about a request, which is answered by Reply or Reject.
// The command's own Key says whose decision it is.
func OnCommand[S any, C Event](name string, decide func(S, C, Input) Decision, emits ...Event) Part[S] {
	return react(CommandInput, name, decide, emits)
}

// OnTimer decides about a timer of this name that fell due.
func OnTimer[S, T any](name string, decide func(S, T, Input) Decision, emits ...Event) Part[S] {
	return react(TimerInput, name, decide, emits)
}

// OnOutcome decides about the outcome of an outside effect.
func OnOutcome[S, I, O any](e *Effect[I, O], decide func(S, O, Input) Decision, emits ...Event) Part[S] {
	p := react(OutcomeInput, e.name, decide, emits)
	p.reaction.effect = &e.effect
	return p
}

// StateVersion numbers the shape of the state, 1 if not given. Raise it with
// every change of S: a snapshot of another version is not decoded but folded
// again from the events, as JSON would turn a renamed field into a zero.
func StateVersion[S any](v int) Part[S] {
	return Part[S]{option: func(d *Decider) { d.StateVersion = v }}
}

// Decider is a defined decider with its state's type erased. Build it with
// Define; it is immutable after that and may be shared.
type Decider struct {
	Name         string
	Kind         string // of its key
	StateVersion int
	reactions    []*reaction
	newState     func() any // *S
	evolve       func(state any, e Event)
	encode       func(state any) ([]byte, error)
	decode       func([]byte) (any, error)
}

// Define makes a decider of a state type S, keyed by the kind of key of which
// key is any value. evolve is the only place where the state changes, and it
// may write into the state's own maps and slices, which nobody else holds;
// a decision may not. S is kept as JSON, so what its exported fields do not
// hold is lost.
func Define[S any](name string, key Key, evolve func(S, Event) S, parts ...Part[S]) *Decider {
	d := &Decider{Name: name, Kind: key.Kind(), StateVersion: 1,
		newState: func() any { return new(S) },
		evolve: func(state any, e Event) {
			p := state.(*S)
			*p = evolve(*p, e)
		},
		encode: func(state any) ([]byte, error) { return codec.Marshal(state.(*S)) },
		decode: func(b []byte) (any, error) {
			s := new(S)
			return s, codec.Unmarshal(b, s)
		}}
	for _, p := range parts {
		if p.reaction != nil {
			d.reactions = append(d.reactions, p.reaction)
		} else {
			p.option(d)
		}
	}
	return d
}

// Service is a set of deciders that share an event store and its lanes.
type Service struct {
	Name     string
	Deciders []*Decider
}
