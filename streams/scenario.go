package streams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Trial is one decision made outside any lane, for tests and explanations.
type Trial struct {
	Events   []Event
	Timers   map[string]time.Duration
	Cancels  []string
	Intents  []TrialIntent
	Reply    any
	Rejected *Rejection
	Err      error
}

// TrialIntent is an intent with its idempotency key.
type TrialIntent struct {
	Effect, Key string
	Body        any
}

// Try folds history and decides about an input: an event, a command, a timer's
// body (name the timer) or an outcome (name the effect). Everything passes
// through JSON first, as it does between services.
func (d *Decider) Try(history []Event, name string, in any, meta Input) (Trial, error) {
	r, err := d.find(name, in)
	if err != nil {
		return Trial{}, err
	}
	state := d.newState()
	for _, e := range history {
		d.evolve(state, e)
	}
	b, err := d.encode(state)
	if err != nil {
		return Trial{}, fmt.Errorf("state of %s cannot be encoded: %w", d.Name, err)
	}
	if state, err = d.decode(b); err != nil {
		return Trial{}, fmt.Errorf("state of %s cannot be decoded: %w", d.Name, err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return Trial{}, fmt.Errorf("input %T cannot be encoded: %w", in, err)
	}
	v, err := r.decode(body)
	if err != nil {
		return Trial{}, fmt.Errorf("input %T cannot be decoded: %w", in, err)
	}
	x, failed := d.decide(r, state, v, meta)
	if after, err := d.encode(state); err != nil || !bytes.Equal(b, after) {
		return Trial{}, fmt.Errorf("%s changed its state while deciding on %s: only evolve may", d.Name, r.input())
	}
	if failed != nil {
		return Trial{Err: failed}, nil
	}
	for _, e := range x.events {
		d.evolve(state, e)
	}
	return x.trial(), nil
}

func (x Decision) trial() Trial {
	t := Trial{Events: x.events, Cancels: x.cancels, Reply: x.reply, Rejected: x.reject, Err: x.err, Timers: map[string]time.Duration{}}
	for _, s := range x.timers {
		t.Timers[s.name] = s.after
	}
	for _, i := range x.intents {
		t.Intents = append(t.Intents, TrialIntent{i.effect.name, i.effect.key(i.body), i.body})
	}
	return t
}

func (d *Decider) find(name string, in any) (*reaction, error) {
	for _, r := range d.reactions {
		if r.in == reflect.TypeOf(in) && (name == "" || name == r.name) {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s has no decision about %T %s", d.Name, in, name)
}
