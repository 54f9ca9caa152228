//! A parked batch, mapped and validated again.

use bytes::Bytes;
use serde_json::Value;

use prunella_platform::{OnFailure, StepWork};
use prunella_stream::homes::now_millis;
use prunella_stream::{AssignmentEpoch, OutRecord, Record, StageError, TopicPartition};
use prunella_transformer::transform;
use prunella_validator::{Counted, Validated, output_array, validate};
use prunella_wire::records::{BatchResult, MappingDrift, MappingVersion, ParkedBatch, StageBatch};
use prunella_wire::{Headers, TraceContext};

use crate::service::Workshop;

/// What driving a batch came to.
pub(crate) struct Driven {
    /// Outputs and dead letters.
    pub(crate) records: Vec<OutRecord>,
    pub(crate) rest: Rest,
    /// What the mapping gave and the schema allows, if somebody watches.
    pub(crate) outputs: Vec<Value>,
}

pub(crate) enum Rest {
    /// Nothing waits any more: the run is told.
    Result(Box<BatchResult>),
    /// Some items still wait.
    Parked(Box<ParkedBatch>),
}

/// Drives `parked` with the version that is used now, or the author's. With a `drift` of that version, nothing it gives
/// is sent on if the step parks such.
///
/// # Errors
/// [`StageError`] when the definition, the context or a payload cannot be had; nothing was decided then.
pub(crate) async fn drive(
    workshop: &Workshop,
    parked: &ParkedBatch,
    healed: Option<&MappingVersion>,
    drift: Option<&MappingDrift>,
    on_failure: OnFailure,
    is_watched: bool,
) -> Result<Driven, StageError> {
    let deps = &workshop.deps;
    let work = StepWork::find(deps.platform(), &parked.work.at).await?;
    let origin = origin_record(parked);
    let batch = parked.work.clone();
    let group = workshop.group.as_str();
    let mapped = transform(&deps.transformer, &work, batch, healed, on_failure, &origin, group).await?;
    let (mapped, letters) = mapped;
    let outputs = if is_watched { valid_outputs(workshop, &work, &mapped).await? } else { Vec::new() };
    let held = drift.filter(|_| work.parks_drift());
    let Validated { mut records, counted } =
        validate(&deps.validator, &work, &mapped, on_failure, held, &origin, group).await?;
    records.extend(letters);
    let rest = match counted {
        Counted::Result(result) => Rest::Result(Box::new(merged(workshop, &parked.result, result).await?)),
        Counted::Parked(again) => {
            let result = merged(workshop, &parked.result, again.result).await?;
            Rest::Parked(Box::new(ParkedBatch { work: again.work, result, tries: parked.tries + 1, ..parked.clone() }))
        }
    };
    Ok(Driven { records, rest, outputs })
}

async fn valid_outputs(workshop: &Workshop, work: &StepWork, mapped: &StageBatch) -> Result<Vec<Value>, StageError> {
    let mut outputs = Vec::with_capacity(mapped.items.len());
    for output in mapped.items.iter().filter_map(|item| item.output.as_ref()) {
        let bytes = workshop.deps.platform().claims.fetch(output, u64::MAX, "").await?;
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        let is_valid = |value: &Value| work.step().schema.as_ref().is_none_or(|schema| schema.is_valid(value));
        outputs.extend(value.filter(is_valid));
    }
    Ok(outputs)
}

/// The record that the batch came from, as far as what is written on its behalf needs it.
fn origin_record(parked: &ParkedBatch) -> Record {
    let source = &parked.source;
    let trace = parked.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok());
    Record {
        source: TopicPartition { topic: source.topic.as_str().into(), partition: source.partition },
        offset: source.offset,
        timestamp: source.timestamp,
        key: Some(format!("{}/{}", parked.work.at.run, parked.work.batch).into()),
        value: None,
        headers: trace.map_or_else(Headers::new, TraceContext::as_headers),
        epoch: AssignmentEpoch::new(0),
        sequence: 0,
        replay: None,
    }
}

/// The result of a batch, part by part.
async fn merged(workshop: &Workshop, before: &BatchResult, now: BatchResult) -> Result<BatchResult, StageError> {
    let claims = &workshop.deps.platform().claims;
    let outputs = match (&before.outputs, &now.outputs) {
        (Some(before), Some(now_outputs)) => {
            let mut parts = Vec::with_capacity(2);
            for payload in [before, now_outputs] {
                let array = claims.fetch(payload, u64::MAX, "").await?;
                let items = array.trim_ascii().strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
                parts.extend(items.filter(|items| !items.trim_ascii().is_empty()).map(Bytes::copy_from_slice));
            }
            Some(claims.shared_payload(&now.at.workspace, now_millis(), output_array(&parts)).await?)
        }
        (before, now) => before.clone().or_else(|| now.clone()),
    };
    Ok(BatchResult {
        valid: before.valid + now.valid,
        dead_lettered: before.dead_lettered + now.dead_lettered,
        items: before.items,
        error: before.error.clone().or_else(|| now.error.clone()),
        outputs,
        ..now
    })
}
