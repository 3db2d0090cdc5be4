package dashboards

import (
	"fmt"
	"strings"

	"github.com/weirstream/weir/streams/telemetry"
)

// onInstance keeps a board's choice of processes.
const onInstance = `instance=~"$instance"`

// is matches a label with one value.
func is(label, value string) string { return fmt.Sprintf("%s=%q", label, value) }

func selector(metric string, matchers []string) string {
	if len(matchers) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(matchers, ",") + "}"
}

// seen leaves out what does not happen: of what can be counted, most begins at 0 and
// stays there.
func seen(expr string) string { return expr + " > 0" }

// per is a counter's growth a second, by labels; an empty by sums up all.
func per(by, metric string, matchers ...string) string {
	return total(by, "rate("+selector(metric, matchers)+"[$__rate_interval])")
}

// during is a counter's growth in the time that the board shows.
func during(by, metric string, matchers ...string) string {
	return total(by, "increase("+selector(metric, matchers)+"[$__range])")
}

// total sums up by labels.
func total(by, expr string) string {
	if by == "" {
		return "sum(" + expr + ")"
	}
	return "sum by (" + by + ") (" + expr + ")"
}

// most is the highest value of a gauge, by labels.
func most(by, metric string, matchers ...string) string {
	if by == "" {
		return "max(" + selector(metric, matchers) + ")"
	}
	return "max by (" + by + ") (" + selector(metric, matchers) + ")"
}

// orNone is 0 where there are no series, as long as there are some of a metric that
// tells that somebody counts. Without one it is not known.
func orNone(expr, counted string) string { return expr + " or 0 * max(" + counted + ")" }

// Who counts what happens seldom: any process; the one that follows sagas.
const (
	anybody  = telemetry.BuildInfo
	followed = telemetry.SagasRunning
)

// quantile is a share's upper bound of a histogram, in its unit.
func quantile(q float64, by, histogram string, matchers ...string) string {
	return fmt.Sprintf("histogram_quantile(%v, %s)", q, per(join(by, "le"), histogram+"_bucket", matchers...))
}

// quantileDuring is the same over the time that the board shows.
func quantileDuring(q float64, by, histogram string, matchers ...string) string {
	return fmt.Sprintf("histogram_quantile(%v, %s)", q, during(join(by, "le"), histogram+"_bucket", matchers...))
}

func join(by, label string) string {
	if by == "" {
		return label
	}
	return by + ", " + label
}

// quantiles adds the usual three to a graph, each with its traces.
func (p *panel) quantiles(histogram string, matchers ...string) *panel {
	for _, q := range []struct {
		share float64
		name  string
	}{{0.5, "half"}, {0.95, "95 %"}, {0.99, "99 %"}} {
		p.query(quantile(q.share, "", histogram, matchers...), q.name)
	}
	return p.exemplars()
}

// buckets fills a heatmap from a histogram. It has no exemplars: Grafana 9.3
// takes their frame for one more bucket (result_transformer.ts). The quantiles
// of the same histogram have them.
func (p *panel) buckets(histogram string, matchers ...string) *panel {
	return p.query(per("le", histogram+"_bucket", matchers...), "{{le}}")
}
