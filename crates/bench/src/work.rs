//! What a record goes through, without Kafka: the very function that a stream calls for each of its records.

use std::sync::Arc;

use prunella_stream::{AssignmentEpoch, Record, TopicPartition};
use prunella_streams::WorkLimits;
use prunella_wire::{Headers, ValueSchemas};
use prunella_workflow::{Limits, StreamPlan, load_str};
use serde_json::Value;

use crate::error::{BenchError, Result};
use crate::workflows::stream;

pub(crate) const MAPPING: &str = include_str!("../../../benches/stream/mapping.jsonata");
pub(crate) const SCHEMA: &str = include_str!("../../../benches/stream/schema.json");
/// The first documents, one a line.
pub(crate) const SAMPLE: &str = include_str!("../../../benches/stream/input-sample.jsonl");
/// What becomes of them, computed with the reference implementation of JSONata. Equal as JSON, not as bytes.
pub(crate) const EXPECTED: &str = include_str!("../../../benches/stream/expected-sample.json");

/// Compiled once, used by many threads.
pub(crate) struct Work(prunella_streams::Work);

impl Work {
    pub(crate) fn new() -> Result<Self> {
        let limits = Limits::default();
        let failed = |problems: prunella_workflow::Problems| BenchError::Work(problems.to_string());
        let loaded = load_str("bench.yaml", &stream("bench", "in"), None, &limits).map_err(failed)?;
        let declared = loaded.declared.as_stream().ok_or_else(|| BenchError::Work("no stream".to_owned()))?;
        let plan = StreamPlan::compile(declared, &limits).map_err(failed)?;
        let schemas = Arc::new(ValueSchemas::new(None));
        Ok(Self(prunella_streams::Work::new(Arc::new(plan), schemas, None, WorkLimits::default())))
    }

    /// JSON text to JSON text.
    pub(crate) fn process(&self, document: &[u8]) -> Result<Vec<u8>> {
        let record = Record {
            source: TopicPartition { topic: "in".into(), partition: 0 },
            offset: 0,
            timestamp: 0,
            key: None,
            value: Some(document.to_vec().into()),
            headers: Headers::new(),
            epoch: AssignmentEpoch::new(0),
            sequence: 0,
            replay: None,
        };
        let mapped = self.0.run(&record).map_err(|refusal| BenchError::Work(refusal.message))?;
        Ok(mapped.value.map(Vec::from).unwrap_or_default())
    }
}

/// The least that any pipeline does with a JSON document: read it and write it again.
pub(crate) fn reserialise(document: &[u8]) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_slice(document)?;
    Ok(serde_json::to_vec(&value)?)
}

/// The right outputs of the first documents.
pub(crate) fn expected() -> Result<Vec<Value>> {
    Ok(serde_json::from_str(EXPECTED)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::same_json;

    #[test]
    fn the_sample_becomes_what_the_reference_engine_makes_of_it() {
        let work = Work::new().expect("compiles");
        let expected = expected().expect("JSON");
        assert_eq!(expected.len(), 20);
        for (document, expected) in SAMPLE.lines().zip(&expected) {
            let output = work.process(document.as_bytes()).expect("valid");
            let output: Value = serde_json::from_slice(&output).expect("JSON");
            assert!(same_json(&output, expected), "{output} is not {expected}");
        }
    }

    #[test]
    fn what_the_schema_refuses_is_an_error() {
        let document = SAMPLE.lines().next().expect("a line").replace("ORD-0000000", "ORDER-0");
        assert!(Work::new().expect("compiles").process(document.as_bytes()).is_err());
    }
}
