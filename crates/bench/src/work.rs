//! What a record goes through, without Kafka: parse, map, validate, serialise, with the product's own engine and limits.

use jsonschema::Validator;
use prunella_mapping::{Bindings, Expression, Limits, Moment};
use serde_json::Value;

use crate::error::{BenchError, Result};

pub(crate) const MAPPING: &str = include_str!("../data/mapping.jsonata");
pub(crate) const SCHEMA: &str = include_str!("../data/schema.json");
/// The first documents, one a line.
pub(crate) const SAMPLE: &str = include_str!("../data/sample.jsonl");
/// What becomes of them, computed with the reference implementation of JSONata. Equal as JSON, not as bytes.
pub(crate) const EXPECTED: &str = include_str!("../data/expected-sample.json");

/// Compiled once, used by many threads.
pub(crate) struct Work {
    mapping: Expression,
    schema: Validator,
    bindings: Bindings,
    limits: Limits,
}

impl Work {
    pub(crate) fn new() -> Result<Self> {
        let mapping = Expression::compile(MAPPING).map_err(|error| BenchError::Work(error.to_string()))?;
        let schema: Value = serde_json::from_str(SCHEMA)?;
        let schema = jsonschema::options().offline().should_validate_formats(true).build(&schema);
        let schema = schema.map_err(|error| BenchError::Work(error.to_string()))?;
        Ok(Self { mapping, schema, bindings: Bindings::new(), limits: Limits::default() })
    }

    /// JSON text to JSON text. The result is read once more for the check, as in the product.
    pub(crate) fn process(&self, document: &[u8]) -> Result<Vec<u8>> {
        let output = self.mapping.map_item(document, &self.bindings, Moment::new(0, 0), &self.limits);
        let output = output.map_err(|error| BenchError::Work(error.to_string()))?;
        let value: Value = serde_json::from_slice(&output)?;
        if self.schema.is_valid(&value) { Ok(output) } else { Err(BenchError::Work(format!("not valid: {value}"))) }
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
