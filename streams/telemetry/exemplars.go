package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Linked gathers without the exemplars whose trace is not there any more: a bucket
// that is rarely hit has one of long ago, and a point on a graph would lead nowhere.
func Linked(g prometheus.Gatherer, has func(trace string) bool) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		for _, f := range families {
			for _, m := range f.GetMetric() {
				for _, b := range m.GetHistogram().GetBucket() {
					if e := b.GetExemplar(); e != nil && !has(traceOf(e)) {
						b.Exemplar = nil
					}
				}
			}
		}
		return families, err
	})
}

func traceOf(e *dto.Exemplar) string {
	for _, l := range e.GetLabel() {
		if l.GetName() == "trace_id" {
			return l.GetValue()
		}
	}
	return ""
}
