//! A mapping run over whole records: is the output valid, and is it what it was?

use jsonschema::Validator;
use serde_json::Value;

use crate::case::Sample;
use crate::eval::Evaluator;
use crate::value::equal;

pub(crate) struct Run {
    pub(crate) output: Option<Value>,
    pub(crate) valid: bool,
}

pub(crate) fn run(evaluator: &Evaluator, validator: &Validator, mapping: &str, record: &Value) -> Run {
    match evaluator.map(mapping, record) {
        Ok(output) => Run { valid: validator.is_valid(&output), output: Some(output) },
        Err(_) => Run { output: None, valid: false },
    }
}

/// How many samples the mapping still gives their output for.
pub(crate) fn regressed(evaluator: &Evaluator, mapping: &str, samples: &[Sample]) -> usize {
    let same =
        |sample: &&Sample| evaluator.map(mapping, &sample.input).is_ok_and(|output| equal(&output, &sample.output));
    samples.iter().filter(same).count()
}
