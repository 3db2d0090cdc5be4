package streams

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
)

// DecisionError is a decision that failed, and will fail again: its key parks.
type DecisionError struct {
	Reason string
	Stack  string // of a panic
}

func (e *DecisionError) Error() string { return e.Reason }

// decide runs a decision and refuses what it did not declare. The state is
// not changed. A failed decision is a *DecisionError.
func (d *Decider) decide(r *reaction, state, in any, meta Input) (x Decision, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &DecisionError{Reason: fmt.Sprintf("%s panicked on %s: %v", d.Name, r.input(), p), Stack: string(debug.Stack())}
		}
	}()
	x = r.decide(state, in, meta)
	if x.err != nil {
		return x, &DecisionError{Reason: fmt.Sprintf("%s cannot decide on %s: %v", d.Name, r.input(), x.err)}
	}
	if err := d.check(r, x); err != nil {
		return x, &DecisionError{Reason: fmt.Sprintf("%s, on %s, %v", d.Name, r.input(), err)}
	}
	return x, nil
}

func (r *reaction) input() string {
	if r.kind == EventInput {
		return r.in.Name()
	}
	return string(r.kind) + " " + r.name
}

// check compares a decision with its declaration.
func (d *Decider) check(r *reaction, x Decision) error {
	for _, e := range x.events {
		if !r.mayEmit(e) {
			return fmt.Errorf("emitted %T, which it does not declare: add it to the reaction's events", e)
		}
		if err := CheckKey(e.Key().String()); err != nil {
			return fmt.Errorf("emitted %T: %w", e, err)
		}
	}
	for _, t := range x.timers {
		if o := d.reaction(TimerInput, t.name); o == nil {
			return fmt.Errorf("set timer %q, which it does not declare: add streams.OnTimer", t.name)
		} else if o.in != reflect.TypeOf(t.body) {
			return fmt.Errorf("set timer %q with a %T, declared with %v", t.name, t.body, o.in)
		}
	}
	for _, n := range x.cancels {
		if d.reaction(TimerInput, n) == nil {
			return fmt.Errorf("cancelled timer %q, which it does not declare: add streams.OnTimer", n)
		}
	}
	for _, i := range x.intents {
		if d.reaction(OutcomeInput, i.effect.name) == nil {
			return fmt.Errorf("asked for effect %q, whose outcome it does not declare: add streams.OnOutcome", i.effect.name)
		}
		if !slices.Contains(r.asks, i.effect) {
			return fmt.Errorf("asked for effect %q, which it does not declare: add Asks to the reaction", i.effect.name)
		}
		if err := checkEffectKey(i.effect.key(i.body)); err != nil {
			return fmt.Errorf("asked for effect %q: %w", i.effect.name, err)
		}
	}
	if err := x.reject.check(); err != nil {
		return err
	}
	if r.kind != CommandInput && x.reply != nil {
		return fmt.Errorf("replied to what is no command")
	}
	return nil
}

func (r *reaction) mayEmit(e Event) bool {
	for _, z := range r.emits {
		if reflect.TypeOf(z) == reflect.TypeOf(e) {
			return true
		}
	}
	return false
}

func (d *Decider) reaction(kind InputKind, name string) *reaction {
	for _, r := range d.reactions {
		if r.kind == kind && r.name == name {
			return r
		}
	}
	return nil
}
