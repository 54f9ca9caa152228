//! One batch: check each item, send the valid ones on, count.

use bytes::Bytes;
use serde_json::Value;

use prunella_model::workflow::{OnInvalid, SilentDrift};
use prunella_model::{Code, MappingKey};
use prunella_platform::{OnFailure, OutputLimits, Refusal, StepWork, moment_of};
use prunella_redact::FieldPattern;
use prunella_stream::homes::now_millis;
use prunella_stream::{DeadLetter, OutRecord, Record, StageError};
use prunella_telemetry::metrics;
use prunella_vault::Place;
use prunella_wire::records::{BatchResult, ErrorInfo, MappingDrift, ParkedBatch, StageBatch, StageItem, TriggerOrigin};
use prunella_wire::{ControlRecord, TraceContext, names};
use prunella_workflow::PlannedHealing;

use crate::service::Deps;

/// Outputs of a batch that are looked at, at most.
const LOOKED_AT: usize = 16;

/// What a batch came to.
pub struct Validated {
    /// Outputs, dead letters, and what is remembered.
    pub records: Vec<OutRecord>,
    pub counted: Counted,
}

/// What is told of a batch, and to whom.
pub enum Counted {
    /// Every item is somewhere: the run counts the batch.
    Result(BatchResult),
    /// Some wait for their mapping: the healer has the result, and tells the run when none waits any more.
    Parked(Box<ParkedBatch>),
}

/// Checks `batch`: gives the outputs and dead letters to be written, and what the run or the healer is told. With `held`,
/// items that are valid are not sent on either. `record` is the one that the batch comes from, `group` the consumer group
/// that took it.
///
/// # Errors
/// [`StageError`] when a payload cannot be had or stored.
pub async fn validate(
    deps: &Deps,
    work: &StepWork,
    batch: &StageBatch,
    on_failure: OnFailure,
    held: Option<&MappingDrift>,
    record: &Record,
    group: &str,
) -> Result<Validated, StageError> {
    let mut records = Vec::with_capacity(batch.items.len() + 1);
    let mut valid_outputs = Vec::with_capacity(batch.items.len());
    let mut result = BatchResult {
        at: batch.at.clone(),
        batch: batch.batch,
        items: batch.extracted,
        valid: 0,
        dead_lettered: batch.dead_lettered,
        outputs: None,
        error: batch.error.clone(),
        ended_at: now_millis(),
    };
    let mut waiting: Vec<StageItem> = Vec::new();
    let mut to_remember = None;
    for item in &batch.items {
        if item.error.is_some() {
            waiting.push(item.clone());
            continue;
        }
        let output = output_of(deps, item).await?;
        match check(deps, work, batch, item, &output, record).and_then(|sent| unless_held(sent, held)) {
            Ok(sent) => {
                records.extend(sent);
                result.valid += 1;
                to_remember = to_remember.or_else(|| Some((item, output.clone())));
                if work.step().output_wanted {
                    valid_outputs.push(output);
                }
            }
            Err(refusal) if on_failure == OnFailure::Park => {
                let error = Some(ErrorInfo::new(refusal.code, refusal.message));
                waiting.push(StageItem { output: None, error, ..item.clone() });
            }
            Err(refusal) => {
                result.dead_lettered += 1;
                if work.step().on_invalid == OnInvalid::Fail && result.error.is_none() {
                    let message = format!("item {}: {}", batch.item_id(item.index), refusal.message);
                    result.error = Some(ErrorInfo::new(refusal.code, message));
                }
                records.push(dead_letter(deps, batch, item, &output, record, group, &refusal).await?);
            }
        }
    }
    if work.step().output_wanted {
        let array = output_array(&valid_outputs);
        result.outputs = Some(deps.platform.claims.shared_payload(&batch.at.workspace, now_millis(), array).await?);
    }
    let [items, dead] = [result.items, result.dead_lettered].map(|count| u64::try_from(count).unwrap_or(0));
    deps.platform.guard.note(&batch.at, items, dead).await;
    let (workspace, workflow) = (batch.at.workspace.as_str(), batch.at.workflow.as_str());
    metrics::ITEMS_VALID.with_label_values(&[workspace, workflow]).inc_by(u64::try_from(result.valid).unwrap_or(0));
    let (Some(mapping), Some(healing)) = (work.mapping_key(&batch.at), &work.step().healing) else {
        return Ok(Validated { records, counted: Counted::Result(result) });
    };
    if waiting.is_empty() {
        // The healer is told how many were valid even of items that are not to be remembered.
        if let (Some((item, output)), true) =
            (to_remember, deps.remember.is_due(&mapping, batch.mapping_version, result.valid))
            && healing.settings.remember.is_on()
        {
            let input = deps.platform.claims.fetch(&item.input, u64::MAX, "").await?;
            let (input, output) = (without(&input, &healing.redact), without(&output, &healing.redact));
            let others = others(deps, healing, batch, item).await?;
            let sample = deps.remember.sample(mapping, healing, batch.mapping_version, [&input, &output], others);
            records.extend(sample.map(|sample| healer_record(deps, &sample.mapping, &sample)).transpose()?);
        }
        return Ok(Validated { records, counted: Counted::Result(result) });
    }
    let count = u64::try_from(waiting.len()).unwrap_or(u64::MAX);
    metrics::ITEMS_PARKED.with_label_values(&[workspace, workflow]).inc_by(count);
    let parked = ParkedBatch {
        valid: deps.remember.parked(&mapping, batch.mapping_version, result.valid),
        mapping,
        base: healing.base.clone(),
        work: StageBatch { items: waiting, dead_lettered: 0, error: None, ..batch.clone() },
        result,
        source: TriggerOrigin {
            topic: record.source.topic.to_string(),
            partition: record.source.partition,
            offset: record.offset,
            timestamp: record.timestamp,
        },
        traceparent: TraceContext::of(&record.headers).map(|trace| trace.to_string()),
        tries: 0,
        driven_with: 0,
        parked_at: now_millis(),
    };
    Ok(Validated { records, counted: Counted::Parked(Box::new(parked)) })
}

impl Counted {
    /// The record that tells it.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be encoded.
    pub fn record(&self, deps: &Deps, carried_by: &Record) -> Result<OutRecord, StageError> {
        let headers = carried_by.headers.carried_on();
        let record = match self {
            Self::Parked(parked) => healer_record(deps, &parked.mapping, parked.as_ref())?,
            Self::Result(result) => {
                let topic = deps.platform.topics.stage_progress();
                let value = deps.platform.codec.encode(&topic, result)?;
                OutRecord::new(topic, result.at.run.to_string(), value)
            }
        };
        Ok(record.with_headers(headers))
    }
}

/// More outputs from all over a batch whose items are all valid, so that it can be told whether they look as they used to.
async fn others(
    deps: &Deps,
    healing: &PlannedHealing,
    batch: &StageBatch,
    but: &StageItem,
) -> Result<Vec<Bytes>, StageError> {
    if healing.settings.silent_drift == SilentDrift::Off {
        return Ok(Vec::new());
    }
    let step = batch.items.len().div_ceil(LOOKED_AT).max(1);
    let mut outputs = Vec::with_capacity(LOOKED_AT);
    for item in batch.items.iter().step_by(step).filter(|item| item.index != but.index) {
        outputs.push(without(&output_of(deps, item).await?, &healing.redact));
    }
    Ok(outputs)
}

/// What was to be sent, unless it has to wait whatever it is.
fn unless_held<T>(sent: T, held: Option<&MappingDrift>) -> Result<T, Refusal> {
    match held {
        None => Ok(sent),
        Some(drift) => Err(Refusal::new(Code::SilentDrift, drift.found.join("; "))),
    }
}

/// JSON without the fields that are not to be kept. What is no JSON is not looked into: it is nothing that is valid.
fn without(json: &Bytes, fields: &[FieldPattern]) -> Bytes {
    if fields.is_empty() {
        return json.clone();
    }
    let mut value: Value = serde_json::from_slice(json).unwrap_or_default();
    prunella_redact::remove(&mut value, fields);
    value.to_string().into()
}

/// A record for the home of a mapping.
fn healer_record<T: ControlRecord>(deps: &Deps, mapping: &MappingKey, record: &T) -> Result<OutRecord, StageError> {
    let topic = deps.platform.topics.stage_heal();
    let value = deps.platform.codec.encode(&topic, record)?;
    let key = mapping.to_string();
    // It holds items: on its way to the healer it is as closed as where the healer keeps it.
    let sealed = deps.platform.vault.seal(Place { store: "stage.heal", key: key.as_bytes() }, &value);
    Ok(OutRecord::new(topic, key, Bytes::from(sealed)))
}

async fn output_of(deps: &Deps, item: &StageItem) -> Result<Bytes, StageError> {
    let Some(output) = &item.output else {
        return Err(StageError::new(Code::RecordMalformed, "an item without output came to the validator"));
    };
    Ok(deps.platform.claims.fetch(output, u64::MAX, "").await?)
}

/// The record for the output topic, if this step's items go there.
fn check(
    deps: &Deps,
    work: &StepWork,
    batch: &StageBatch,
    item: &StageItem,
    output: &Bytes,
    record: &Record,
) -> Result<Option<OutRecord>, Refusal> {
    let moment = moment_of(&batch.item_id(item.index), record.timestamp);
    let limits = OutputLimits { settings: &deps.settings, mapping: &deps.limits };
    let Some(key) = work.judge(output, &batch.at.run, moment, limits)? else { return Ok(None) };
    let topic = deps.platform.topics.output(&batch.at.workspace, &batch.at.workflow);
    let headers = record
        .headers
        .carried_on()
        .with(names::RUN, batch.at.run.to_string())
        .with(names::ITEM, batch.item_id(item.index).to_string())
        .with(names::WORKFLOW, batch.at.workflow_ref().to_string())
        .with(names::MAPPING_VERSION, batch.mapping_version.to_string())
        .with(names::CONTENT_TYPE, "application/json");
    Ok(Some(OutRecord::new(topic, key, output.clone()).with_headers(headers)))
}

async fn dead_letter(
    deps: &Deps,
    batch: &StageBatch,
    item: &StageItem,
    output: &Bytes,
    record: &Record,
    group: &str,
    refusal: &Refusal,
) -> Result<OutRecord, StageError> {
    let code = refusal.code;
    metrics::DEAD_LETTERS.with_label_values(&["validator", code.id()]).inc();
    let (workspace, workflow) = (batch.at.workspace.as_str(), batch.at.workflow.as_str());
    metrics::ITEMS_INVALID.with_label_values(&[workspace, workflow, code.id()]).inc();
    let id = batch.item_id(item.index);
    let input = deps.platform.claims.fetch(&item.input, u64::MAX, "").await?;
    let mut letter = DeadLetter::new(record, "validator", group, code, &refusal.message, now_millis())
        .with(names::RUN, batch.at.run.to_string())
        .with(names::ITEM, id.to_string())
        .with(names::WORKFLOW, batch.at.workflow_ref().to_string())
        .with(names::DEAD_STEP, batch.at.step.to_string());
    if !refusal.fields.is_empty() {
        letter = letter.with(names::DEAD_FIELDS, serde_json::to_vec(&refusal.fields).unwrap_or_default());
    }
    if output.len() as u64 <= deps.settings.max_header_bytes.bytes() {
        letter = letter.with(names::DEAD_OUTPUT, output.clone());
    }
    let topic = deps.platform.topics.deadletter(&batch.at.workspace, &batch.at.workflow);
    Ok(letter.of_item(topic, Some(id.to_string().into()), Some(input)))
}

/// Outputs as one JSON array.
pub fn output_array(items: &[Bytes]) -> Bytes {
    let mut array = Vec::with_capacity(items.iter().map(|item| item.len() + 1).sum::<usize>() + 2);
    array.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            array.push(b',');
        }
        array.extend_from_slice(item);
    }
    array.push(b']');
    array.into()
}
