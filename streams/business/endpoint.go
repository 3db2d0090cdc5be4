package business

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// Protocol is how an endpoint is spoken to.
type Protocol string

// The protocols of effects.
const (
	HTTP Protocol = "http"
	SMTP Protocol = "smtp"
)

// Endpoint is a server outside that effects call.
type Endpoint struct {
	Name     string // as the effects name it
	What     string // "payment provider"
	Protocol Protocol
	// Simulate makes the other side anew, with nothing remembered. Of HTTP only: every
	// SMTP endpoint is simulated by a mailbox.
	Simulate func() Counterpart
	Refusals []string // kinds of definite refusals that can be drawn
	Faults   []Fault  // to practise
}

// Counterpart decides what a simulated HTTP endpoint does. The simulator repeats the
// answer to a known Idempotency-Key, keeps a journal, draws what goes wrong, and calls
// it from one goroutine at a time.
type Counterpart interface {
	// Paths are those that it answers, each of a POST.
	Paths() []string
	// Decide answers a new call; nothing has happened yet. What is answered 201 is
	// settled; 402 and 422 are definite refusals, and other failures leave the key free.
	Decide(c Call) (status int, answer any)
	// Settle has a granted call happen, also one that a journal remembers.
	Settle(c Call, answer json.RawMessage) error
	// Ledger is what has happened in all, by the keys of the business.
	Ledger() any
}

// Call is a request to a simulated endpoint.
type Call struct {
	Path string
	Key  string // its Idempotency-Key
	Body json.RawMessage
	// Refuses draws a refusal of a kind, always the same way for the same key.
	Refuses func(kind string) bool
}

// ID names what a call makes: the same key gives the same id.
func (c Call) ID() string {
	h := fnv.New128a()
	_, _ = h.Write([]byte(c.Key)) // a hash takes everything
	return strings.TrimSuffix(path.Base(c.Path), "s") + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Refusal is the body of an answer that is no yes.
type Refusal struct {
	Reason string `json:"reason"`
}

// Fault is trouble of an endpoint that can be switched on to practise.
type Fault struct {
	Name   string // "provider-slow"
	What   string // it does
	Effect string // that is to be seen
	Alerts []string
	Trouble
}

// Trouble is how an endpoint behaves. Rates lie within 0 (never) and 1 (always).
type Trouble struct {
	Down      bool
	LatencyMS int
	Errors    float64            // calls that fail in passing
	Refuse    map[string]float64 // by kind of refusal
}

// checkEndpoints reports effects that call what nobody declares, and the reverse.
func (b *Business) checkEndpoints(t *streams.Topology) (errs []error) {
	called := map[string]string{}
	for _, s := range t.Services {
		for _, d := range s.Deciders {
			for _, r := range t.Reactions(d) {
				if r.Endpoint != "" {
					called[r.Endpoint] = s.Name
				}
			}
		}
	}
	var names, faults []string
	for _, s := range b.Services {
		for _, e := range s.Endpoints {
			switch {
			case slices.Contains(names, e.Name):
				errs = append(errs, fmt.Errorf("endpoint %s is declared twice", e.Name))
			case !nameRule.MatchString(e.Name): // a file is called so
				errs = append(errs, fmt.Errorf("endpoint %q of service %s is not called by lower case letters, digits and dashes", e.Name, s.Name))
			case called[e.Name] == "":
				errs = append(errs, fmt.Errorf("endpoint %s of service %s is called by no effect", e.Name, s.Name))
			case e.Protocol != HTTP && e.Protocol != SMTP, e.Protocol == HTTP && e.Simulate == nil, e.What == "":
				errs = append(errs, fmt.Errorf("endpoint %s of service %s needs to say what it is, how it is spoken to (http or smtp), and, of http, how it is simulated", e.Name, s.Name))
			}
			names = append(names, e.Name)
			for _, f := range e.Faults {
				if slices.Contains(faults, f.Name) || !nameRule.MatchString(f.Name) {
					errs = append(errs, fmt.Errorf("fault %q of endpoint %s is there twice, or is not called by lower case letters, digits and dashes", f.Name, e.Name))
				}
				faults = append(faults, f.Name)
			}
		}
	}
	for name, service := range called {
		if !slices.Contains(names, name) {
			errs = append(errs, fmt.Errorf("service %s calls endpoint %s, which nobody declares: add it to the service's Endpoints", service, name))
		}
	}
	return errs
}
