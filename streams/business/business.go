// Package business is what a business says of itself: its services with their
// commands, views, outside endpoints and objectives, and its sagas, all of it data
// and pure functions. The HTTP interface and its description, read models, boards,
// alerts, topics, simulators and the command all fold over one such value, and
// none of them knows a word of it.
package business

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/weirstream/weir/streams"
)

// Business is everything that a platform runs.
type Business struct {
	Name  string // in lower case: "shop"
	Title string // for people: "Weir's shop"
	About string // what it does, in a sentence or two: it stands in the API's description
	Owner string // who is called about what no service owns
	// Facts are what services tell one another. Those that only one of them knows or
	// reads stand with it.
	Facts    []streams.Fact
	Services []Service
	Sagas    []streams.Saga
	// Pipelines are units beside the services.
	Pipelines []streams.Pipeline
	Money     []Money
	// Books are made anew for each audit; nil: there are none. They show Invariants.
	Books      func(*Audit) Books
	Invariants []Invariant
	// Customer is what one does, to see and measure the business at work; nil: nobody is
	// simulated.
	Customer *Customer
}

// Service is a service, with everything that it shows of itself.
type Service struct {
	Name       string
	Owner      string // who is called; empty: the business's
	Deciders   []*streams.Decider
	Facts      []streams.Fact // its own
	Commands   []Command
	Views      []*View
	Endpoints  []Endpoint
	Objectives []Objective
	Questions  []Question
}

// nameRule is that of a business, which is part of other names.
var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Topology is all services and their facts, checked as a whole together with what they
// declare beside. Every error names its culprit and the cure.
func (b *Business) Topology() (*streams.Topology, error) {
	if !nameRule.MatchString(b.Name) {
		return nil, fmt.Errorf("the business is called %q: use lower case letters, digits and dashes", b.Name)
	}
	if err := b.checkGiven(); err != nil {
		return nil, fmt.Errorf("business %s does not hold:\n%w", b.Name, err)
	}
	facts := slices.Clone(b.Facts)
	services := make([]streams.Service, len(b.Services))
	for i, s := range b.Services {
		facts = append(facts, s.Facts...)
		services[i] = streams.Service{Name: s.Name, Deciders: s.Deciders}
	}
	v, err := streams.NewVocabulary(facts...)
	if err != nil {
		return nil, err
	}
	t, err := streams.NewTopology(v, services, b.Pipelines...)
	if err != nil {
		return nil, err
	}
	if err := b.check(t); err != nil {
		return nil, fmt.Errorf("business %s does not hold:\n%w", b.Name, err)
	}
	return t, nil
}

// checkGiven reports what is not there at all.
func (b *Business) checkGiven() error {
	if len(b.Services) == 0 {
		return errors.New("it has no services: add one, with a decider")
	}
	var errs []error
	for _, s := range b.Services {
		for i, v := range s.Views {
			if v == nil {
				errs = append(errs, fmt.Errorf("view %d of service %q is nil: leave it out", i+1, s.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// check looks at all that stands beside the topology.
func (b *Business) check(t *streams.Topology) error {
	var errs []error
	if b.Owner == "" {
		errs = append(errs, errors.New("it has no owner: say who is called about what no service owns"))
	}
	for i, s := range b.Sagas {
		errs = append(errs, s.Check(t))
		if slices.ContainsFunc(b.Sagas[:i], func(other streams.Saga) bool { return other.Name == s.Name }) {
			errs = append(errs, fmt.Errorf("saga %s is there twice", s.Name))
		}
	}
	errs = append(errs, b.checkCommands(t)...)
	errs = append(errs, b.checkViews(t)...)
	errs = append(errs, b.checkRoutes()...)
	errs = append(errs, b.checkEndpoints(t)...)
	errs = append(errs, b.checkObjectives(t)...)
	errs = append(errs, b.checkMoney(t)...)
	errs = append(errs, b.checkCustomer(t)...)
	errs = append(errs, b.checkQuestions(t)...)
	return errors.Join(errs...)
}

// Commands are those of all services.
func (b *Business) Commands() (out []Command) {
	for _, s := range b.Services {
		out = append(out, s.Commands...)
	}
	return out
}

// Views are those of all services.
func (b *Business) Views() (out []*View) {
	for _, s := range b.Services {
		out = append(out, s.Views...)
	}
	return out
}

// Command finds a command by its name.
func (b *Business) Command(name string) (*Command, bool) {
	for i := range b.Services {
		for j := range b.Services[i].Commands {
			if c := &b.Services[i].Commands[j]; c.Name == name {
				return c, true
			}
		}
	}
	return nil, false
}

// Saga finds a saga by its name.
func (b *Business) Saga(name string) (streams.Saga, bool) {
	for _, s := range b.Sagas {
		if s.Name == name {
			return s, true
		}
	}
	return streams.Saga{}, false
}

// View finds a view by its name.
func (b *Business) View(name string) (*View, bool) {
	for _, v := range b.Views() {
		if v.Name == name {
			return v, true
		}
	}
	return nil, false
}

// ViewOf is the view whose documents are of a kind of key: the first that is declared.
func (b *Business) ViewOf(kind string) (*View, bool) {
	for _, v := range b.Views() {
		if v.Key.Kind() == kind {
			return v, true
		}
	}
	return nil, false
}

// Endpoints are those of all services.
func (b *Business) Endpoints() (out []Endpoint) {
	for _, s := range b.Services {
		out = append(out, s.Endpoints...)
	}
	return out
}

// OwnerOf is who is called about a service.
func (b *Business) OwnerOf(service string) string {
	for _, s := range b.Services {
		if s.Name == service && s.Owner != "" {
			return s.Owner
		}
	}
	return b.Owner
}
