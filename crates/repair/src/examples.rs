//! Examples that every mapping has to get right: those of the author, and items that still arrive and were mapped well.
//!
//! An example shows the shape that the source had when it was made. A mapping for the new shape gets it right when the
//! old mapping goes on serving what still has the old one: a guard chooses, as where both shapes arrive side by side.

use serde_json::Value;

use crate::case::{Case, Sample};
use crate::error::RepairError;
use crate::eval::Evaluator;
use crate::evidence::{Repair, Verdict};
use crate::proof::run;
use crate::settings::Settings;
use crate::shape::discriminator;
use crate::value::equal;

/// Failures that are told.
const MOST_FAILURES: usize = 5;

/// The repair as it may be used: its mapping gets the examples right, or a person decides.
///
/// # Errors
/// [`RepairError`] when the schema of the case cannot be used.
pub fn with_examples(
    case: &Case,
    repair: Repair,
    examples: &[Sample],
    settings: &Settings,
) -> Result<Repair, RepairError> {
    let changes = matches!(repair.verdict, Verdict::Activate | Verdict::Review);
    let Some(mapping) = repair.mapping.as_ref().filter(|_| changes && !examples.is_empty()) else { return Ok(repair) };
    let evaluator = Evaluator::new(settings.limits.clone());
    let failures = failures(&evaluator, mapping, examples);
    if failures.is_empty() {
        return Ok(repair);
    }
    if let Some(guarded) = guarded(case, mapping, examples, &evaluator)? {
        return Ok(Repair { mapping: Some(guarded), ..repair });
    }
    let mut repair = Repair { verdict: Verdict::Review, ..repair };
    repair.evidence.summary = format!("not proven: {}", failures[0]);
    repair.evidence.reasons.extend(failures);
    Ok(repair)
}

/// What the mapping gets wrong.
pub(crate) fn failures(evaluator: &Evaluator, mapping: &str, examples: &[Sample]) -> Vec<String> {
    let fails = |(at, example): (usize, &Sample)| match evaluator.map(mapping, &example.input) {
        Ok(output) if equal(&output, &example.output) => None,
        Ok(output) => Some(format!("example {} wants {}, not {output}", at + 1, example.output)),
        Err(error) => Some(format!("example {} fails: {error}", at + 1)),
    };
    examples.iter().enumerate().filter_map(fails).take(MOST_FAILURES).collect()
}

/// The mapping beside the old one, if a field tells which of them is meant, and all examples come out right then.
pub(crate) fn guarded(
    case: &Case,
    mapping: &str,
    examples: &[Sample],
    evaluator: &Evaluator,
) -> Result<Option<String>, RepairError> {
    let Some(before) = &case.mapping else { return Ok(None) };
    let validator = case.validator()?;
    let served = |record: &&Value| run(evaluator, &validator, mapping, record).valid;
    let new: Vec<&Value> = case.failing.iter().filter(served).collect();
    let old: Vec<&Value> = examples.iter().chain(&case.remembered).map(|sample| &sample.input).collect();
    let Some(field) = discriminator(&old, &new, mapping) else { return Ok(None) };
    let guarded = format!("$exists({field}) ? {} : {}", grouped(mapping), grouped(before));
    Ok(failures(evaluator, &guarded, examples).is_empty().then_some(guarded))
}

/// The mapping as a part of another one.
pub(crate) fn grouped(mapping: &str) -> String {
    let text = mapping.trim();
    if text.starts_with(['{', '[', '(']) { text.to_owned() } else { format!("({text})") }
}
