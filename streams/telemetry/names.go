// Package telemetry turns what the runtime's hooks tell into Prometheus
// metrics and OpenTelemetry spans.
package telemetry

// Every metric of the platform, by name. Durations are seconds.
const (
	Inputs         = "weir_inputs_total"
	Rejections     = "weir_rejections_total"
	Emitted        = "weir_events_emitted_total"
	Repeats        = "weir_repeats_total"
	InputAge       = "weir_input_age_seconds"
	BatchInputs    = "weir_batch_inputs"
	DecideSeconds  = "weir_batch_decide_seconds"
	CommitSeconds  = "weir_batch_commit_seconds"
	LagRecords     = "weir_lag_records"
	LagSeconds     = "weir_lag_seconds"
	UnpublishedAge = "weir_outbox_unpublished_age_seconds"
	Parked         = "weir_parked_inputs"
	EffectsPending = "weir_effects_pending"
	EffectSeconds  = "weir_effect_seconds"
	BreakerState   = "weir_breaker_state"
	Conflicts      = "weir_commit_conflicts_total"
	LaneChanges    = "weir_lane_changes_total"
	LanesHalted    = "weir_lanes_halted"
	RequestSeconds = "weir_http_request_seconds"
	SpansStarted   = "weir_spans_started_total"
	SpansExported  = "weir_spans_exported_total"
)

// Seconds are the bucket bounds of durations. They hold the thresholds of the
// objectives (60 ms, 100 ms, 1 s, 60 s), as a quantile between two bounds is a
// guess and a share below a bound is a fact.
var Seconds = []float64{.001, .0025, .005, .01, .025, .06, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900}
