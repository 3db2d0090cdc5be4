//go:build !real

package platform_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/dashboards"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/deploy/platform/practice"
)

// given are the values of Grafana's variables.
var given = map[string]string{"__rate_interval": "5s", "__range": "60s", "__interval": "1s"}

// panel is the queries of a panel of a board.
func panel(t *testing.T, all []dashboards.Board, board, title string) (out []string) {
	t.Helper()
	for _, b := range all {
		for _, q := range dashboards.Queries(b) {
			if q.Board == board && q.Panel == title {
				out = append(out, q.Filled(given))
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("board %s has no panel %q", board, title)
	}
	return out
}

// slow are the alerts that a slow machine sets off by itself, with windows of
// seconds, and a scrape that may take one. All others fire for their own reasons only.
var slow = []string{"Blind", "ProcessDown", "ReadModelUnknown", "AnalyticsUnproved", "CustomerJourneyBurn", "CompletenessBurn", "IngestionLatencyBurn", "SagaAnswerBurn", "GatewayLatencyBurn", "ServiceLatencyBurn", "StoreSlow"}

// What each fault may bring along, beside the alerts that it must and the slow
// ones, and the panel that it moves.
var practised = map[string]struct {
	may          []string
	board, panel string
	rises        float64 // by more than this, of the highest series; below 0: it falls by so much
	lingers      bool    // in the longest window: what it spoiled weighs more while a later fault lets nothing end
}{
	"entrance-dead":   {[]string{"ProbesBurn", "CustomersGone"}, "weir-overview", "Requests", -2, false},
	"entrance-silent": {nil, "weir-overview", "Requests", -2, false},
	"host-starved": {[]string{"ProbesBurn", "ServiceFreshnessBurn", "ReadModelFreshnessBurn", "ProbesFail",
		"SagaOverdueBurn", "GatewayAvailabilityBurn", "CustomersGone",
		"OutboxStuck", "OutsideCallsBurn", "BreakerOpen", "StoreContended", "FailuresInARow", "UnitMissing", "HotKey", "SagasLate"}, "weir-overview", "Time to answer", 0.05, false},
	"provider-slow":      {[]string{"ProbesBurn"}, "weir-pipeline", "Time of a call", 0.5, false},
	"provider-declining": {[]string{"ProbesBurn", "ProbesFail"}, "weir-saga-place-order", "Kept and taken back", 0.1, true},
	"provider-down":      {[]string{"ProbesBurn"}, "weir-pipeline", "Circuit breakers", 0.9, false},
	"carrier-down":       {nil, "weir-pipeline", "Circuit breakers", 0.9, false},
	"poison-event":       {nil, "weir-pipeline", "Parked", 0.9, false},
	"hot-key":            {nil, "weir-ingestion", "Accepted, by client", 50, false},
	"slow-store":         {nil, "weir-pipeline", "Time to commit", 0.1, false},
	"consumer-stuck":     {nil, "weir-pipeline", "Behind", 5, false},
	"duplicate-storm":    {nil, "weir-pipeline", "Repeats and clocks", 5, false},
	"clock-skew":         {nil, "weir-pipeline", "Repeats and clocks", 0.1, false},
	"ingestion-flood":    {nil, "weir-ingestion", "Beyond their quota", 1, false},
}

// Every fault calls those that it must, and nobody else; it shows on a panel; and
// all is well after it.
func TestFaultsAndTheirAlerts(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes; make test runs it")
	}
	p := startPractice(t)
	all := boards(t)
	p.await("shoppers", 30*time.Second, func() (bool, string) {
		v := p.query("sum(rate(weir_sagas_ended_total[5s]))")
		return len(v) == 1 && v[0] > 2, fmt.Sprint(v)
	})
	p.calm(2*time.Minute, slow...)
	var list platform.Faults
	p.get(http.MethodGet, "/v1/faults", &list)
	if len(list.Faults) != len(practised) {
		t.Errorf("%d faults, %d of them are practised", len(list.Faults), len(practised))
	}
	began := time.Now()
	for i, f := range list.Faults {
		// A machine that is too busy to come to rest fails here, with a sentence, and
		// not in go test's own limit, with thousands of goroutines.
		if time.Since(began) > 12*time.Minute {
			t.Errorf("%d of %d faults were practised in %s: is the machine busy with other things?", i, len(list.Faults), time.Since(began).Round(time.Second))
			break
		}
		if !t.Run(f.Name, func(t *testing.T) { (&exercise{t: t, url: p.url}).fault(f, all) }) {
			t.Errorf("the faults after %s are not practised: what it left behind would be theirs", f.Name)
			break
		}
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func (p *exercise) fault(f practice.Fault, all []dashboards.Board) {
	with, ok := practised[f.Name]
	if !ok {
		p.t.Fatalf("no test practises %s", f.Name)
	}
	queries := panel(p.t, all, with.board, with.panel)
	highest := func() (top float64) {
		for _, q := range queries {
			top = slices.Max(append(p.query(q), top))
		}
		return top
	}
	must := append(slices.Clone(f.Alerts), "FaultPractised")
	others := slices.DeleteFunc(slices.Clone(slow), func(a string) bool { return slices.Contains(must, a) })
	p.calm(3*time.Minute, others...) // what has to fire is not to fire already
	before := highest()
	var now platform.Faults
	p.get(http.MethodPost, "/v1/faults/"+f.Name+"/on", &now)
	defer func() { p.get(http.MethodPost, "/v1/faults/"+f.Name+"/off", &now) }() // the next one is not to suffer from it
	var strangers []string
	look := func() []string {
		firing := p.firing()
		for _, a := range firing {
			// A scrape of a second that a busy machine answers late leaves no unit in sight.
			if a == "UnitMissing" && len(p.query("min_over_time(up[15s]) == 0")) > 0 {
				continue
			}
			if !slices.Contains(must, a) && !slices.Contains(with.may, a) && !slices.Contains(others, a) && !slices.Contains(strangers, a) {
				strangers = append(strangers, a)
			}
		}
		return firing
	}
	// moved tells whether the panel has gone where it should from where it was.
	moved := func(level float64) bool {
		if with.rises < 0 {
			return level <= before+with.rises
		}
		return level >= before+with.rises
	}
	top := before
	took := p.await(f.Name, 90*time.Second, func() (bool, string) {
		firing := look()
		missing := slices.DeleteFunc(slices.Clone(must), func(a string) bool { return slices.Contains(firing, a) })
		if level := highest(); !moved(top) {
			top = level
		}
		return len(missing) == 0 && moved(top), fmt.Sprintf("not firing: %v; firing: %v; the panel %q was at %v and is at %v", missing, firing, with.panel, before, top)
	})
	p.get(http.MethodPost, "/v1/faults/"+f.Name+"/off", &now)
	calm := p.await("calm after "+f.Name, 3*time.Minute, func() (bool, string) {
		left := slices.DeleteFunc(look(), func(a string) bool { return slices.Contains(others, a) })
		level := highest()
		return len(left) == 0 && !moved(level), fmt.Sprintf("still firing: %v; the panel %q was at %v and is at %v", left, with.panel, before, level)
	})
	p.t.Logf("%s: %s after %s, calm %s after its end; %q rose from %.3g to %.3g", f.Name, strings.Join(must, ", "), took.Round(time.Second), calm.Round(time.Second), with.panel, before, top)
	if len(strangers) > 0 {
		p.t.Errorf("%s: these fired too: %v", f.Name, strangers)
	}
	if with.lingers {
		windows := quick().Windows
		time.Sleep(windows[len(windows)-1].Long)
	}
}
