package telemetry_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// gathered lists every series as name{labels} and its value: of a histogram,
// how many values it took.
func (e *errands) gathered() map[string]float64 {
	e.t.Helper()
	families, err := e.reg.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				out[name] = float64(m.GetHistogram().GetSampleCount())
			case m.GetCounter() != nil:
				out[name] = m.GetCounter().GetValue()
			default:
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// The metrics say exactly what happened, and nothing about whom.
func TestMetricsOfARun(t *testing.T) {
	const person = "ada.lovelace@example.org"
	inErrands(t, 1000, func(e *errands) {
		for n := range 20 {
			e.request(fmt.Sprint("r-", n), "", runErrand{Customer: customer(fmt.Sprintf("%s-%d", person, n)), Mail: person, Weight: n})
		}
		heavy := e.request("heavy", "", runErrand{Customer: person, Mail: person, Weight: 99})
		again := e.request("heavy", "", runErrand{Customer: person, Mail: person, Weight: 99}) // the stored answer: no input
		if heavy.Status != streams.ReplyRejected || string(again.Body) != string(heavy.Body) {
			t.Errorf("%+v, then %+v", heavy, again)
		}
		time.Sleep(10 * time.Second)
		e.jammed.Store(true)
		e.noAnswers.Store(2)
		e.request("parked", "", runErrand{Customer: person, Mail: person})
		e.request("waits", "", runErrand{Customer: person, Mail: person})
		time.Sleep(10 * time.Second)
		if got := e.gathered(); sum(got, "weir_parked_inputs{") != 2 {
			t.Errorf("parked: %v", got)
		}
		e.jammed.Store(false)
		e.retry(person)
		time.Sleep(80 * time.Second)
		got := e.gathered()
		want := map[string]float64{
			"weir_inputs_total{decider=desk,input=run-errand,kind=command,result=decided,service=desk}":      22,
			"weir_inputs_total{decider=desk,input=run-errand,kind=command,result=rejected,service=desk}":     1,
			"weir_inputs_total{decider=desk,input=ring,kind=outcome,result=decided,service=desk}":            22,
			"weir_inputs_total{decider=desk,input=remind,kind=timer,result=decided,service=desk}":            21,
			"weir_inputs_total{decider=floor,input=errand.asked,kind=event,result=decided,service=floor}":    20,
			"weir_inputs_total{decider=floor,input=errand.asked,kind=event,result=parked,service=floor}":     2,
			"weir_inputs_total{decider=floor,input=errand.asked,kind=event,result=retried,service=floor}":    2,
			"weir_inputs_total{decider=floor,input=errand.reminded,kind=event,result=decided,service=floor}": 21,
			"weir_rejections_total{code=too-heavy,decider=desk,service=desk}":                                1,
			"weir_events_emitted_total{service=desk,type=errand.asked}":                                      22,
			"weir_events_emitted_total{service=desk,type=errand.answered}":                                   22,
			"weir_events_emitted_total{service=desk,type=errand.reminded}":                                   21,
			"weir_events_emitted_total{service=floor,type=floor.loaded}":                                     22,
			"weir_events_emitted_total{service=floor,type=floor.closed}":                                     21,
			"weir_input_age_seconds{decider=desk,service=desk}":                                              66,
			"weir_input_age_seconds{decider=floor,service=floor}":                                            43, // those that a person retries have waited for the person
			"weir_effect_seconds{effect=ring,endpoint=phone,result=answered,service=desk}":                   22,
			"weir_effect_seconds{effect=ring,endpoint=phone,result=in-doubt,service=desk}":                   2,
			"weir_http_requests_total{caller=client,method=POST,route=/errands/{customer},status=200}":       24,
			"weir_http_request_seconds{caller=client,method=POST,route=/errands/{customer}}":                 24,
			"weir_lane_changes_total{change=claimed,service=desk}":                                           4,
			"weir_lane_changes_total{change=running,service=floor}":                                          4,
		}
		for name, n := range want {
			if got[name] != n {
				t.Errorf("%s is %v, want %v", name, got[name], n)
			}
		}
		for prefix, n := range map[string]float64{"weir_parked_inputs{": 0, "weir_effects_pending{": 0, "weir_lag_records{": 0, "weir_lanes_halted{": 0,
			"weir_commit_conflicts_total{": 0, "weir_repeats_total{": 0, "weir_inputs_total{": 111, "weir_events_emitted_total{": 108} {
			if sum(got, prefix) != n {
				t.Errorf("%s… sum up to %v, want %v: %v", prefix, sum(got, prefix), n, got)
			}
		}
		if b := got["weir_batch_inputs{service=desk}"]; b < 1 || b != got["weir_batch_commit_seconds{service=desk}"] || b != got["weir_batch_decide_seconds{service=desk}"] {
			t.Errorf("batches counted %v times", b)
		}
		for name := range got {
			if strings.Contains(name, "ada") || strings.Contains(name, "example.org") || regexp.MustCompile(`r-\d`).MatchString(name) {
				t.Errorf("%s tells about a person", name)
			}
		}
		e.c.Close()
		e.shut()
		got = e.gathered()
		if started, exported := sum(got, "weir_spans_started_total{"), sum(got, "weir_spans_exported_total{"); started < 107 || started != exported {
			t.Errorf("%v spans started, %v exported", started, exported)
		}
		if n := sum(got, "weir_lag_records{"); n != 0 || slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(s string) bool { return strings.HasPrefix(s, "weir_lag_records") }) {
			t.Errorf("lanes that were given up still tell their lag: %v", n)
		}
	})
}

func sum(series map[string]float64, prefix string) (n float64) {
	for name, v := range series {
		if strings.HasPrefix(name, prefix) {
			n += v
		}
	}
	return n
}

// The constants and the catalogue name the same metrics, and what the catalogue
// does not declare cannot be registered.
func TestCatalogue(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var constants, declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			s, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			constants = append(constants, s)
		}
		return true
	})
	shape, label := regexp.MustCompile(`^weir_[a-z]+(_[a-z]+)*$`), regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for _, m := range telemetry.Catalogue {
		declared = append(declared, m.Name)
		if !shape.MatchString(m.Name) || strings.HasSuffix(m.Name, "_total") != (m.Kind == telemetry.Counter) || (m.Kind == telemetry.Histogram) != (len(m.Buckets) > 0) {
			t.Errorf("%s %s: a name is weir_words, _total ends that of a counter, and histograms have buckets", m.Kind, m.Name)
		}
		if m.Help == "" || m.Unit == "" || strings.HasSuffix(m.Name, "_seconds") != (m.Unit == "seconds") {
			t.Errorf("%s lacks a help, or its unit %q is not in its name", m.Name, m.Unit)
		}
		for _, l := range m.Labels {
			if !label.MatchString(l) {
				t.Errorf("%s has a label %q", m.Name, l)
			}
		}
	}
	slices.Sort(constants)
	if slices.Sort(declared); !slices.Equal(constants, declared) {
		t.Errorf("constants %v\ndeclared  %v", constants, declared)
	}
	for name, register := range map[string]func(*telemetry.Instruments){
		"undeclared": func(i *telemetry.Instruments) { i.Counter("weir_made_up_total") },
		"wrong kind": func(i *telemetry.Instruments) { i.Gauge(telemetry.Inputs) },
		"twice":      func(i *telemetry.Instruments) { i.Counter(telemetry.Inputs); i.Counter(telemetry.Inputs) },
	} {
		if i := telemetry.NewInstruments(prometheus.NewRegistry()); register != nil {
			if register(i); i.Err() == nil {
				t.Errorf("%s: registered", name)
			}
		}
	}
}

// An event from the future is counted, and does not make the past shorter.
func TestFutureInputs(t *testing.T) {
	reg := prometheus.NewRegistry()
	tel, err := telemetry.New(telemetry.Options{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	in := streams.InputInfo{Decider: "floor", Kind: streams.EventInput, Name: "errand.asked", Result: "decided", Age: -time.Minute,
		Origin: streams.Origin{Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	near := in
	near.Age = -100 * time.Millisecond
	tel.OnBatch(streams.BatchInfo{Service: "floor", Inputs: []streams.InputInfo{in, near}})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := (&errands{t: t, reg: reg}).gathered()
	if got["weir_future_inputs_total{service=floor}"] != 1 {
		t.Errorf("%v", got)
	}
	for _, f := range families {
		if f.GetName() == telemetry.InputAge {
			h := f.GetMetric()[0].GetHistogram()
			if h.GetSampleSum() != 0 || h.GetBucket()[0].GetExemplar().GetLabel()[0].GetValue() != "4bf92f3577b34da6a3ce929d0e0e4736" {
				t.Errorf("age: %v", h)
			}
		}
	}
}

// Repeats are counted though nothing has to be committed for them, and count as
// no batch.
func TestRepeatsAlone(t *testing.T) {
	inErrands(t, 0, func(e *errands) {
		e.request("r-1", "", runErrand{Customer: "ada", Mail: "m"})
		time.Sleep(80 * time.Second)
		batches := e.gathered()["weir_batch_inputs{service=floor}"]
		cl, err := kgo.NewClient(append(e.c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()),
			kgo.ConsumeTopics("desk.customer"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		again := cl.PollFetches(context.Background()).Records()
		for _, r := range again {
			r.Offset, r.LeaderEpoch = 0, 0
		}
		if err := cl.ProduceSync(context.Background(), again...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		got := e.gathered()
		if n := got["weir_repeats_total{service=floor}"]; n == 0 || n != float64(len(again)) {
			t.Errorf("%v repeats are counted of %d", n, len(again))
		}
		if n := got["weir_batch_inputs{service=floor}"]; n != batches {
			t.Errorf("%v batches, %v before", n, batches)
		}
	})
}
