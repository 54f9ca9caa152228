use serde_json::{Value, json};

/// The services that do the steps of runs.
pub const STEP_SERVICES: [&str; 4] = ["orchestrator", "extractor", "transformer", "validator"];

/// `processing.guarantee` with each of them exactly-once.
pub fn all_exactly_once() -> Value {
    STEP_SERVICES.into_iter().map(|service| (service.to_owned(), json!("exactly-once"))).collect()
}
