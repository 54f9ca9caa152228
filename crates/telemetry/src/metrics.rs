//! Every metric of the product. Names follow the Prometheus conventions: base units, `_total` for
//! counters. Labels are bounded: stages, topics, error codes; never runs or keys.

use std::sync::LazyLock;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

fn register<C: prometheus::core::Collector + Clone + 'static>(collector: prometheus::Result<C>) -> C {
    // Names and labels are constants of this file: a mistake in them is found by any test that
    // touches a metric.
    let collector = collector.unwrap_or_else(|error| panic!("metric definition: {error}"));
    REGISTRY.register(Box::new(collector.clone())).unwrap_or_else(|error| panic!("metric registration: {error}"));
    collector
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(IntCounterVec::new(Opts::new(name, help), labels))
}

fn counter(name: &str, help: &str) -> IntCounter {
    register(IntCounter::new(name, help))
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(IntGaugeVec::new(Opts::new(name, help), labels))
}

fn gauge(name: &str, help: &str) -> IntGauge {
    register(IntGauge::new(name, help))
}

fn seconds(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let buckets =
        vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
    register(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels))
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $definition:expr;)*) => {
        $($(#[$doc])* pub static $name: LazyLock<$type> = LazyLock::new(|| $definition);)*

        /// Makes every metric without labels visible from the first scrape on.
        pub fn touch_all() {
            $(LazyLock::force(&$name);)*
        }
    };
}

metrics! {
    RECORDS: IntCounterVec = counters("prunella_stage_records_total", "Records a stage has taken from its topics.", &["stage", "topic"]);
    RECORD_ERRORS: IntCounterVec = counters("prunella_stage_errors_total", "Failures of a stage by error code and route.", &["stage", "code", "route"]);
    RECORD_SECONDS: HistogramVec = seconds("prunella_stage_record_seconds", "Time from taking a record to its outcome, retries included.", &["stage"]);
    IN_FLIGHT: IntGaugeVec = gauges("prunella_stage_in_flight_records", "Records taken and not yet completed.", &["stage"]);
    IN_FLIGHT_BYTES: IntGaugeVec = gauges("prunella_stage_in_flight_bytes", "Bytes of records taken and not yet completed.", &["stage"]);
    MEMORY_BUDGET: IntGauge = gauge("prunella_memory_budget_bytes", "Bytes of records that the stages of this process together may hold (runtime.memory-budget).");
    MEMORY_HELD: IntGauge = gauge("prunella_memory_held_bytes", "Bytes of records that the stages of this process hold, taken and not completed.");
    PAUSED: IntGaugeVec = gauges("prunella_stage_paused_partitions", "Partitions paused because their work is not keeping up.", &["stage"]);
    ASSIGNED: IntGaugeVec = gauges("prunella_stage_assigned_partitions", "Partitions this process owns.", &["stage"]);
    LAG: IntGaugeVec = gauges("prunella_stage_lag_records", "Records between the last one taken and the end of the partition.", &["stage", "topic"]);
    REBALANCES: IntCounterVec = counters("prunella_stage_rebalances_total", "Assignments and revocations.", &["stage", "kind"]);
    COMMITS: IntCounterVec = counters("prunella_stage_commits_total", "Offset commits by result.", &["stage", "result"]);
    TRANSACTIONS: IntCounterVec = counters("prunella_transactions_total", "Transactions of exactly-once services by result.", &["stage", "result"]);
    TRANSACTION_SECONDS: HistogramVec = seconds("prunella_transaction_seconds", "Time from the begin of a transaction to its end.", &["stage"]);
    PRODUCED: IntCounterVec = counters("prunella_produced_records_total", "Records written to Kafka.", &["client"]);
    DEAD_LETTERS: IntCounterVec = counters("prunella_dead_letters_total", "Records and items sent to a dead-letter topic.", &["stage", "code"]);
    RESTORE_RECORDS: IntCounterVec = counters("prunella_restore_records_total", "Records of state topics read while restoring.", &["stage"]);
    RESTORE_SECONDS: HistogramVec = seconds("prunella_restore_seconds", "Time to restore one partition of state.", &["stage"]);
    STAGE_RESTARTS: IntCounterVec = counters("prunella_stage_restarts_total", "Times a stage was rebuilt after a failure.", &["stage"]);

    RUNS_STARTED: IntCounterVec = counters("prunella_runs_started_total", "Runs started.", &["workspace", "workflow"]);
    RUNS_ENDED: IntCounterVec = counters("prunella_runs_ended_total", "Runs ended, by status.", &["workspace", "workflow", "status"]);
    RUN_SECONDS: HistogramVec = seconds("prunella_run_seconds", "Time from the trigger to the end of a run.", &["workspace", "workflow"]);
    RUNS_LIVE: IntGauge = gauge("prunella_runs_live", "Runs this process holds that have not ended.");
    RUNS_LIVE_BYTES: IntGauge = gauge("prunella_runs_live_bytes", "Bytes of the runs this process holds that have not ended (limit: runs.memory).");
    TRIGGERS_HELD_BACK: IntGauge = gauge("prunella_triggers_held_back", "Trigger topics that this process leaves alone because live runs take too much memory.");
    STALE: IntCounterVec = counters("prunella_stale_results_total", "Results that came for an ended run or an old attempt.", &["kind"]);

    SOURCE_REQUESTS: IntCounterVec = counters("prunella_source_requests_total", "Pages asked of sources, by outcome.", &["workspace", "workflow", "outcome"]);
    SOURCE_SECONDS: HistogramVec = seconds("prunella_source_page_seconds", "Time for one page of a source, retries included.", &["workspace", "workflow"]);
    SOURCES_MOVED: IntCounterVec = counters("prunella_source_moved_total", "Times the items of an answer were not where they were.", &["workspace", "workflow"]);
    ITEMS_EXTRACTED: IntCounterVec = counters("prunella_items_extracted_total", "Items extracted.", &["workspace", "workflow"]);
    ITEMS_VALID: IntCounterVec = counters("prunella_items_valid_total", "Items that were valid.", &["workspace", "workflow"]);
    ITEMS_INVALID: IntCounterVec = counters("prunella_items_invalid_total", "Items that could not be mapped or were not valid.", &["workspace", "workflow", "code"]);
    ITEMS_PARKED: IntCounterVec = counters("prunella_items_parked_total", "Items that wait for their mapping to be healed.", &["workspace", "workflow"]);
    ITEMS_HEALED: IntCounterVec = counters("prunella_items_healed_total", "Parked items that were valid when they were driven again.", &["workspace", "workflow"]);
    PARKED_BATCHES: IntGauge = gauge("prunella_parked_batches", "Batches this process holds that wait for their mapping.");
    HEAL_ATTEMPTS: IntCounterVec = counters("prunella_heal_attempts_total", "Attempts to heal a mapping by verdict.", &["verdict"]);
    MAPPINGS_ACTIVATED: IntCounterVec = counters("prunella_mappings_activated_total", "Versions of mappings that came into use.", &["workspace", "workflow"]);
    MAPPINGS_ROLLED_BACK: IntCounterVec = counters("prunella_mappings_rolled_back_total", "Versions of mappings that were rolled back without being asked.", &["workspace", "workflow"]);
    SILENT_DRIFTS: IntCounterVec = counters("prunella_silent_drifts_total", "Times the outputs of a mapping were valid and did not look as they used to.", &["workspace", "workflow"]);
    SILENT_DRIFT: IntGaugeVec = gauges("prunella_silent_drift", "1 while the outputs of a mapping are valid and do not look as they used to.", &["workspace", "workflow", "step"]);
    PAUSED_STEPS: IntGaugeVec = gauges("prunella_guard_paused_steps", "1 while a step is paused because too many of its items go to the dead letters.", &["workspace", "workflow", "step"]);
    STREAM_HELD: IntGaugeVec = gauges("prunella_stream_held_partitions", "Partitions that a stream holds at a record it cannot take.", &["workspace", "stream"]);
    STREAMS_UNUSABLE: IntCounterVec = counters("prunella_stream_unusable_total", "Times the live version of a stream could not be run.", &["workspace", "stream", "code"]);
    MAPPING_CACHE: IntCounterVec = counters("prunella_mapping_cache_total", "Look-ups of compiled mappings.", &["result"]);
    MAPPING_VIEW: IntCounterVec = counters("prunella_mapping_view_total", "Look-ups of healed mappings for a batch: hit, a healed version is used; miss, the author's text is.", &["result"]);
    GATEWAY_REQUESTS: IntCounterVec = counters("prunella_gateway_requests_total", "Requests to the HTTP API.", &["method", "route", "status"]);
    GATEWAY_SECONDS: HistogramVec = seconds("prunella_gateway_request_seconds", "Time from a request to the head of its answer, waiting for runs included.", &["method", "route"]);
    RUNVIEW_RECORDS: IntCounter = counter("prunella_runview_records_total", "Records taken into the view of runs.");
    RUNVIEW_LAG: IntGauge = gauge("prunella_runview_lag_records", "Records between the view of runs and the ends of its topics, at most.");
    RUNVIEW_REBUILDS: IntCounter = counter("prunella_runview_rebuilds_total", "Times the view of runs was rebuilt from its topics.");
    LLM_CALLS: IntCounterVec = counters("prunella_llm_calls_total", "Consultations of language models by outcome: answered, cached or an error code.", &["provider", "outcome"]);
    LLM_REQUESTS: IntCounterVec = counters("prunella_llm_requests_total", "Requests that were sent to providers of language models.", &["provider"]);
    LLM_TOKENS: IntCounterVec = counters("prunella_llm_tokens_total", "Tokens of language models, as far as providers tell.", &["provider", "direction"]);
    LLM_COST: IntCounterVec = counters("prunella_llm_cost_micros_total", "Known cost of language models, in millionths of the currency.", &["provider", "currency"]);
    LLM_UNPRICED: IntCounterVec = counters("prunella_llm_unknown_cost_total", "Consultations of language models whose cost is not known.", &["provider"]);
    LLM_SECONDS: HistogramVec = seconds("prunella_llm_call_seconds", "Time of consultations that asked a model, with tries and waits.", &["provider"]);
    LLM_ANSWER_LOOKUPS: IntCounterVec = counters("prunella_llm_answer_lookups_total", "Look-ups of answers of language models before one is asked: in memory, then in Redis.", &["level", "result"]);
    REDIS_LOOKUPS: IntCounterVec = counters("prunella_redis_lookups_total", "Look-ups in Redis: hit, miss, junk, failed, left-alone.", &["store", "result"]);
    REDIS_FAILURES: IntCounter = counter("prunella_redis_failures_total", "Times Redis failed or was too slow, and was left alone for a while.");
    LLM_CIRCUIT_OPEN: IntGaugeVec = gauges("prunella_llm_circuit_open", "1 while a provider of language models is left alone.", &["provider"]);
    BAD_STATE: IntCounter = counter("prunella_unreadable_state_records_total", "Records of state topics that could not be read and were left alone.");
}

/// The metrics in the text format that Prometheus scrapes.
pub fn render() -> String {
    let mut buffer = Vec::new();
    let encoded = TextEncoder::new().encode(&REGISTRY.gather(), &mut buffer);
    if let Err(error) = encoded {
        tracing::error!(%error, "metrics could not be rendered");
    }
    String::from_utf8(buffer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_metric_is_defined_and_rendered() {
        super::touch_all();
        super::RECORDS.with_label_values(&["test", "topic"]).inc();
        let text = super::render();
        assert!(text.contains("prunella_stage_records_total{stage=\"test\",topic=\"topic\"} 1"), "{text}");
        assert!(text.contains("prunella_runs_live 0"), "{text}");
    }
}
