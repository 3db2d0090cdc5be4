package alerts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Status is how an objective stands.
type Status struct {
	*SLO
	NoData     bool          // nothing is known of it: its series are missing
	Remaining  float64       // of the budget, as a share: 1 untouched, 0 used up, below 0 overdrawn
	Burn       float64       // now, as a multiple of the rate that uses it up exactly
	Ratio      float64       // of bad events over the period
	Bad, Total float64       // events over the period; 0 for those that count none
	Period     time.Duration // over which the budget counts
	// Known is for how long of the period it was watched: a young server knows minutes,
	// and an outage of one is all of them.
	Known time.Duration
}

// Left is what is left of the budget, in words. Below -100 % nobody reads the number.
func (s *Status) Left() string {
	if s.Remaining < -1 {
		return "below -100 %"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Remaining)
}

// Statuses asks Prometheus how every objective stands.
func (s *Set) Statuses(ctx context.Context, server prometheus.API) ([]Status, error) {
	byID := map[string]*Status{}
	out := make([]Status, len(s.SLOs))
	for i, o := range s.SLOs {
		out[i] = Status{SLO: o, NoData: true, Period: s.Policy.Period}
		byID[o.ID()] = &out[i]
	}
	for expr, take := range map[string]func(*Status, float64){
		BudgetRemaining:            func(x *Status, v float64) { x.Remaining, x.NoData = v, math.IsNaN(v) },
		CurrentBurn:                func(x *Status, v float64) { x.Burn = v },
		ratioName(s.Policy.Period): func(x *Status, v float64) { x.Ratio = v },
		s.count(badName):           func(x *Status, v float64) { x.Bad = v },
		s.count(totalName):         func(x *Status, v float64) { x.Total = v },
		s.known():                  func(x *Status, v float64) { x.Known = time.Duration(v * float64(time.Second)) },
	} {
		v, _, _, err := server.Query(ctx, expr, time.Now())
		if err != nil {
			return nil, fmt.Errorf("how the objectives stand is not known: %w", err)
		}
		samples, ok := v.(model.Vector)
		if !ok {
			return nil, fmt.Errorf("how the objectives stand is not known: Prometheus answers %s with a %s", expr, v.Type())
		}
		for _, v := range samples {
			if x := byID[string(v.Metric["sloth_id"])]; x != nil {
				take(x, float64(v.Value))
			}
		}
	}
	return out, nil
}

// count is how many events were recorded over the period.
func (s *Set) count(name string) string {
	// A rule's samples are this far apart.
	return fmt.Sprintf("sum by (sloth_id) (sum_over_time(%s%s[%s])) * %v", name, span(s.Policy.shortest()), span(s.Policy.Period), s.Policy.every().Seconds())
}

// known is for how many seconds of the period rules were evaluated, by how often they
// were in the last five minutes: the server has its own interval.
func (s *Set) known() string {
	return fmt.Sprintf("max by (sloth_id) (count_over_time(%s[%s]) / count_over_time(%s[5m])) * 300", Objective, span(s.Policy.Period), Objective)
}

// ErrBudget says that less of a budget is left than is asked for.
var ErrBudget = errors.New("too little of the error budget is left")

// Gate refuses if an objective has less of its budget left than least, as a
// share, or nothing, or is not known. Only those with less are an ErrBudget. It is
// for pipelines: who has no budget ships no risk.
func Gate(all []Status, least float64) error {
	var errs []error
	for _, x := range all {
		switch {
		case x.NoData:
			errs = append(errs, fmt.Errorf("%s is not known: Prometheus has no data of it", x.ID()))
		case x.Remaining <= 0 || x.Remaining < least:
			errs = append(errs, fmt.Errorf("%w: %s has %.4g %%, and needs %s", ErrBudget, x.ID(), 100*x.Remaining, Needs(least)))
		}
	}
	return errors.Join(errs...)
}

// Needs is what a gate asks for, in words.
func Needs(least float64) string {
	if least <= 0 {
		return "more than 0 %"
	}
	return fmt.Sprintf("at least %.4g %%", 100*least)
}
