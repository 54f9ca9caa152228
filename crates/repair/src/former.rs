//! A source that has come back to a shape that an earlier mapping was for.

use crate::case::{Case, Sample};
use crate::error::RepairError;
use crate::eval::Evaluator;
use crate::evidence::{Repair, Verdict};
use crate::examples::{failures, with_examples};
use crate::repair::repair;
use crate::settings::Settings;

/// The mapping of the case with a `former` one beside it, when that one is right for what fails: as it is for the samples
/// that it has made, and as if the source had never changed. `case` has the samples of both; each keeps its own.
///
/// # Errors
/// [`RepairError`] when the schema of the case cannot be used.
pub fn with_former(
    case: &Case,
    former: &str,
    examples: &[Sample],
    settings: &Settings,
) -> Result<Option<Repair>, RepairError> {
    let Some(mapping) = &case.mapping else { return Ok(None) };
    let evaluator = Evaluator::new(settings.limits.clone());
    let is_right =
        |mapping: &str, sample: &Sample| failures(&evaluator, mapping, std::slice::from_ref(sample)).is_empty();
    let (its, others): (Vec<Sample>, Vec<Sample>) =
        case.remembered.iter().chain(examples).cloned().partition(|sample| is_right(former, sample));
    let others: Vec<Sample> = others.into_iter().filter(|sample| is_right(mapping, sample)).collect();
    // Without samples of both, nothing tells which of them is meant.
    if its.is_empty() || others.is_empty() {
        return Ok(None);
    }
    let of_former = Case { mapping: Some(former.to_owned()), remembered: its.clone(), ..case.clone() };
    let found = repair(&of_former, settings)?;
    if found.verdict != Verdict::Unchanged {
        return Ok(None);
    }
    let mut found = Repair { verdict: Verdict::Activate, origin: "repaired", ..found };
    found.evidence.summary =
        "proven: what fails has the shape that an earlier mapping was for, and that one is right for it".to_owned();
    let current = Case { remembered: others.clone(), ..case.clone() };
    let both = with_examples(&current, found, &others, settings)?;
    let keeps = |mapping: &String| failures(&evaluator, mapping, &its).is_empty();
    Ok(Some(both).filter(|both| both.verdict == Verdict::Activate && both.mapping.as_ref().is_some_and(keeps)))
}
