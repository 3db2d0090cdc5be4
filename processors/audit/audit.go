// Package audit checks that the books of a business balance: what the services stored,
// what the log carries, and what the outside world says happened. It trusts none of the
// three. What holds in any topology is checked by streams/verify; what the business
// declares, by books of its own; here is what holds of any outside.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/verify"
)

// Input is what there is to compare. What is left zero is not looked at, and
// the report says so. The functions of verify.Input are the audit's own: what is
// given there is not called.
type Input struct {
	verify.Input
	Business     *business.Business
	Acknowledged []streams.Key              // keys of commands that were answered with a yes
	Ledgers      map[string]json.RawMessage // of endpoints, in the form of their simulators' GET /ledger
	// MailRepeats is the share of mails that may arrive more than once, as mail
	// has no idempotency key; 0.25 if 0.
	MailRepeats float64
}

// Report is the verdict on all invariants.
type Report = verify.Report

// Invariant is the verdict on one of them.
type Invariant = verify.Invariant

// Check compares everything in the input. Its error says that something could
// not be read; what disagrees is in the report, which is never nil.
func Check(ctx context.Context, in Input) (*Report, error) {
	if in.MailRepeats == 0 {
		in.MailRepeats = 0.25
	}
	report := &Report{}
	for _, i := range in.Business.Invariants {
		report.Declare(i.Name, i.Of)
	}
	report.Declare(business.Effects, "effects")
	var unread error
	books := in.open(report, &unread)
	in.Event = func(_ string, e streams.Event) { books.Event(e) }
	in.Snapshot = func(_ string, s streams.Snapshot) { books.Snapshot(s) }
	in.Timer = func(_ string, t streams.Timer) { books.Timer(t) }
	in.Posted = func(e streams.Envelope) {
		if f, ok := in.Topology.Vocabulary.Fact(e.Type); ok {
			if v, err := f.Decode(e.Version, e.Data); err == nil { // else a lane has parked it
				books.Posted(v)
			}
		}
	}
	kept, err := verify.Check(ctx, in.Input)
	if err == nil {
		books.Judge()
		in.judgeLedgers(report)
		err = unread
	}
	return merge(report, kept, in.Business.Invariants), err
}

// open opens the business's books.
func (in *Input) open(report *Report, unread *error) business.Books {
	if in.Business.Books == nil {
		return none{}
	}
	return in.Business.Books(&business.Audit{Settled: in.Settled, Complete: in.Complete && in.Client != nil, Acknowledged: in.Acknowledged, Bad: report.Violate, Looked: report.Looked, Note: report.Note,
		Ledger: func(endpoint string, into any) bool {
			raw, ok := in.Ledgers[endpoint]
			if !ok {
				report.Note("no ledger of the %s was given: it was not checked", endpoint)
				return false
			}
			if err := json.Unmarshal(raw, into); err != nil {
				*unread = fmt.Errorf("ledger of the %s: %w", endpoint, err)
				return false
			}
			return true
		}})
}

// none are the books of a business that has none.
type none struct{}

func (none) Event(streams.Event)       {}
func (none) Snapshot(streams.Snapshot) {}
func (none) Timer(streams.Timer)       {}
func (none) Posted(streams.Event)      {}
func (none) Judge()                    {}

// ledger is what every simulator keeps of a key: how often its call took effect, or how
// many copies of its mail arrived.
type ledger struct {
	Keys map[string]struct {
		Effects int `json:"effects"`
		Copies  int `json:"copies"`
	} `json:"keys"`
}

// judgeLedgers checks that every call took effect at most once. A mail may have arrived
// twice, if the relay's answer was lost, but that has to stay the exception.
func (in *Input) judgeLedgers(r *Report) {
	for _, e := range in.Business.Endpoints() {
		var l ledger
		if raw, ok := in.Ledgers[e.Name]; !ok || json.Unmarshal(raw, &l) != nil { // which the books have told
			continue
		}
		mails, repeated := 0, 0
		for _, key := range slices.Sorted(maps.Keys(l.Keys)) {
			switch k := l.Keys[key]; {
			case e.Protocol == business.SMTP && k.Copies > 0:
				mails++
				if k.Copies > 1 {
					repeated++
				}
			case e.Protocol == business.HTTP:
				r.Looked(business.Effects, 1)
				if k.Effects > 1 {
					r.Violate(business.Effects, "%s: key %s took effect %d times", e.Name, key, k.Effects)
				}
			}
		}
		r.Looked(business.Effects, mails)
		if repeated > 0 {
			r.Note("%d of %d mails arrived more than once", repeated, mails)
		}
		if float64(repeated) > in.MailRepeats*float64(mails)+1 {
			r.Violate(business.Effects, "%d of %d mails arrived more than once: lost answers explain %.0f%%", repeated, mails, 100*in.MailRepeats)
		}
	}
}

// merge makes one report of the business's and the runtime's: the business's come first.
func merge(own, runtime *Report, first []business.Invariant) *Report {
	order := make([]string, 0, len(first)+5)
	for _, i := range first {
		order = append(order, i.Name)
	}
	order = append(order, verify.Order, verify.Published, verify.Once, business.Effects, verify.Replayable)
	all := slices.Concat(own.Invariants, runtime.Invariants)
	place := func(i Invariant) int {
		if n := slices.Index(order, i.Name); n >= 0 {
			return n
		}
		return len(order)
	}
	slices.SortStableFunc(all, func(a, b Invariant) int { return place(a) - place(b) })
	return &Report{Invariants: all, Notes: slices.Concat(runtime.Notes, own.Notes)}
}
