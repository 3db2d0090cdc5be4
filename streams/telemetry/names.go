// Package telemetry turns what the runtime's hooks tell into Prometheus
// metrics and OpenTelemetry spans. Its catalogue declares every metric of the
// platform.
package telemetry

// Every metric of the platform, by name. Durations are seconds.
const (
	Inputs         = "weir_inputs_total"
	LaneInputs     = "weir_lane_inputs_total"
	Rejections     = "weir_rejections_total"
	Emitted        = "weir_events_emitted_total"
	Repeats        = "weir_repeats_total"
	InputAge       = "weir_input_age_seconds"
	FutureInputs   = "weir_future_inputs_total"
	BatchInputs    = "weir_batch_inputs"
	DecideSeconds  = "weir_batch_decide_seconds"
	CommitSeconds  = "weir_batch_commit_seconds"
	LagRecords     = "weir_lag_records"
	LagSeconds     = "weir_lag_seconds"
	UnpublishedAge = "weir_outbox_unpublished_age_seconds"
	Parked         = "weir_parked_inputs"
	EffectsPending = "weir_effects_pending"
	EffectSeconds  = "weir_effect_seconds"
	HeldBack       = "weir_effects_held_back_total"
	BreakerState   = "weir_breaker_state"
	Conflicts      = "weir_commit_conflicts_total"
	LaneChanges    = "weir_lane_changes_total"
	LanesHalted    = "weir_lanes_halted"
	UnitHalted     = "weir_unit_halted"
	BehindRecords  = "weir_behind_records"
	BehindSeconds  = "weir_behind_seconds"

	RequestSeconds = "weir_http_request_seconds"
	Ingested       = "weir_ingest_events_total"
	QuotaRefused   = "weir_quota_refused_total"

	SagasStarted     = "weir_sagas_started_total"
	SagasEnded       = "weir_sagas_ended_total"
	SagasOverdue     = "weir_sagas_overdue_total"
	SagasRunning     = "weir_sagas_running"
	SagasLate        = "weir_sagas_late"
	SagaOldest       = "weir_saga_oldest_seconds"
	SagaEventSeconds = "weir_saga_event_seconds"
	SagaAnswer       = "weir_saga_answer_seconds"
	SagaStepSeconds  = "weir_saga_step_seconds"
	DuplicateEffects = "weir_duplicate_effects_total"
	MoneyHeld        = "weir_money_held_minor_units"
	MoneyTaken       = "weir_money_taken_minor_units_total"

	SyntheticOrders  = "weir_synthetic_orders_total"
	SyntheticSeconds = "weir_synthetic_order_seconds"
	FaultOn          = "weir_fault_on"
	BuildInfo        = "weir_build_info"
	DiskFree         = "weir_data_disk_free_bytes"
	DiskSize         = "weir_data_disk_size_bytes"
	SpansStarted     = "weir_spans_started_total"
	SpansExported    = "weir_spans_exported_total"
)
