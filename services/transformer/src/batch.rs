//! One batch: map each item; what cannot be mapped leaves the batch, the rest goes on.

use bytes::Bytes;

use prunella_catalog::AUTHORS_VERSION;
use prunella_mapping::{Bindings, EvalError, Expression, Limits, Moment};
use prunella_model::workflow::OnInvalid;
use prunella_platform::{ContextDocument, OnFailure, StepWork, moment_of};
use prunella_stream::homes::now_millis;
use prunella_stream::{DeadLetter, OutRecord, Record, StageError};
use prunella_telemetry::metrics;
use prunella_wire::names;
use prunella_wire::records::{ErrorInfo, MappingVersion, StageBatch, StageItem};

use crate::service::Deps;

/// An item on its way through the mapping.
enum Mapped {
    Output(Bytes),
    /// Without a mapping, the output is the input.
    Unchanged,
    Failed(EvalError),
}

/// Maps every item of `batch` with `healed`, or else with the mapping of its author: gives the mapped batch, and dead
/// letters of the items that cannot be mapped. With [`OnFailure::Park`] these stay in the batch and say why. `record` is
/// the one that the batch comes from, `group` the consumer group that took it.
///
/// # Errors
/// [`StageError`] when the mapping, the context or a payload cannot be had.
pub async fn transform(
    deps: &Deps,
    work: &StepWork,
    mut batch: StageBatch,
    healed: Option<&MappingVersion>,
    on_failure: OnFailure,
    record: &Record,
    group: &str,
) -> Result<(StageBatch, Vec<OutRecord>), StageError> {
    let mut letters = Vec::new();
    let text = healed.map(|version| version.text.as_str()).or(work.step().transform.as_deref().map(Expression::source));
    let mapping = text.map(|text| compiled(deps, text)).transpose()?;
    let bindings = bindings(deps, mapping.as_ref(), &batch).await?;
    let mapped = map_all(deps, mapping.as_ref(), &batch, bindings, record.timestamp).await?;
    let items = std::mem::take(&mut batch.items);
    batch.items.reserve_exact(items.len());
    for (item, mapped) in items.into_iter().zip(mapped) {
        let output = match mapped {
            Mapped::Unchanged => item.input.clone(),
            Mapped::Output(bytes) => deps.platform.claims.payload(&batch.at.workspace, now_millis(), bytes).await?,
            Mapped::Failed(error) if on_failure == OnFailure::Park => {
                let error = Some(ErrorInfo::new(error.code(), error.to_string()));
                batch.items.push(StageItem { output: None, error, ..item });
                continue;
            }
            Mapped::Failed(error) => {
                letters.push(dead_letter(deps, &batch, &item, record, group, &error).await?);
                batch.dead_lettered += 1;
                if work.step().on_invalid == OnInvalid::Fail && batch.error.is_none() {
                    let message = format!("item {}: {error}", batch.item_id(item.index));
                    batch.error = Some(ErrorInfo::new(error.code(), message));
                }
                continue;
            }
        };
        batch.items.push(StageItem { output: Some(output), error: None, ..item });
    }
    batch.mapping_version = match healed {
        Some(version) => version.version,
        None if work.step().transform.is_some() => AUTHORS_VERSION,
        None => 0,
    };
    Ok((batch, letters))
}

/// The compiled mapping, from the cache that all versions of all workflows share.
fn compiled(deps: &Deps, mapping: &str) -> Result<Expression, StageError> {
    let found = deps.mappings.find(mapping);
    let result = if found.is_some() { "hit" } else { "miss" };
    metrics::MAPPING_CACHE.with_label_values(&[result]).inc();
    match found {
        Some(expression) => Ok(expression),
        None => deps.mappings.compile(mapping).map_err(|error| StageError::new(error.code, error.to_string())),
    }
}

/// The variables of the mapping, if it reads any.
async fn bindings(deps: &Deps, mapping: Option<&Expression>, batch: &StageBatch) -> Result<Bindings, StageError> {
    let reads_them = mapping.is_some_and(|mapping| mapping.reads().any_binding());
    let Some(context) = batch.context.as_ref().filter(|_| reads_them) else { return Ok(Bindings::new()) };
    let limit = deps.max_context_bytes.bytes();
    let document = ContextDocument::load(&deps.platform.claims, &batch.at, context, limit).await?;
    document.bindings().map_err(|error| StageError::new(error.code(), format!("context of {}: {error}", batch.at)))
}

async fn map_all(
    deps: &Deps,
    mapping: Option<&Expression>,
    batch: &StageBatch,
    bindings: Bindings,
    timestamp: i64,
) -> Result<Vec<Mapped>, StageError> {
    let Some(mapping) = mapping.cloned() else {
        return Ok(batch.items.iter().map(|_| Mapped::Unchanged).collect());
    };
    let limits = deps.limits.clone();
    let mut inputs = Vec::with_capacity(batch.items.len());
    for item in &batch.items {
        let moment = moment_of(&batch.item_id(item.index), timestamp);
        inputs.push((fetch(deps, item, &limits).await?, moment));
    }
    let map = move |(input, moment): (Bytes, Moment)| match mapping.map_item(&input, &bindings, moment, &limits) {
        Ok(output) => Mapped::Output(output.into()),
        Err(error) => Mapped::Failed(error),
    };
    let all = || inputs.into_iter().map(map).collect();
    Ok(deps.pace.run(&deps.platform.workbench, all).await)
}

async fn fetch(deps: &Deps, item: &StageItem, limits: &Limits) -> Result<Bytes, StageError> {
    // Larger ones are refused by the mapping itself, with its own code, for this item alone.
    let limit = item.input.length().max(limits.max_input_bytes.bytes());
    Ok(deps.platform.claims.fetch(&item.input, limit, "mapping.max-input-bytes").await?)
}

async fn dead_letter(
    deps: &Deps,
    batch: &StageBatch,
    item: &StageItem,
    record: &Record,
    group: &str,
    error: &EvalError,
) -> Result<OutRecord, StageError> {
    let code = error.code();
    metrics::DEAD_LETTERS.with_label_values(&["transformer", code.id()]).inc();
    let (workspace, workflow) = (batch.at.workspace.as_str(), batch.at.workflow.as_str());
    metrics::ITEMS_INVALID.with_label_values(&[workspace, workflow, code.id()]).inc();
    let id = batch.item_id(item.index);
    let input = deps.platform.claims.fetch(&item.input, u64::MAX, "").await?;
    let letter = DeadLetter::new(record, "transformer", group, code, &error.to_string(), now_millis())
        .with(names::RUN, batch.at.run.to_string())
        .with(names::ITEM, id.to_string())
        .with(names::WORKFLOW, batch.at.workflow_ref().to_string())
        .with(names::DEAD_STEP, batch.at.step.to_string());
    let topic = deps.platform.topics.deadletter(&batch.at.workspace, &batch.at.workflow);
    Ok(letter.of_item(topic, Some(id.to_string().into()), Some(input)))
}
