//! From a record on a trigger topic to the command that starts its run.

use serde::de::IgnoredAny;

use bytes::Bytes;
use prunella_model::{Code, RunId, RunOrigin, WorkflowName, WorkspaceName};
use prunella_platform::Platform;
use prunella_stream::homes::now_millis;
use prunella_stream::{Record, StageError};
use prunella_wire::names;
use prunella_wire::records::{StartRun, TriggerOrigin};

use crate::settings::RunSettings;

/// Reads a trigger. The payload stays as it is; it only has to be JSON.
///
/// # Errors
/// [`StageError`] bound for the workflow's dead-letter topic.
pub(crate) async fn start_command(
    platform: &Platform,
    settings: &RunSettings,
    workspace: WorkspaceName,
    workflow: WorkflowName,
    record: &Record,
) -> Result<StartRun, StageError> {
    let refuse = |code: Code, message: String| {
        StageError::new(code, message).dead_letter_to(platform.topics.deadletter(&workspace, &workflow))
    };
    let place = record.place();
    let Some(value) = &record.value else {
        return Err(refuse(Code::TriggerNotJson, format!("{place} has no value: a trigger is a JSON document")));
    };
    let limit = settings.max_trigger_bytes;
    if value.len() as u64 > limit.bytes() {
        let message = format!("{place} has {} bytes, the limit is {limit} (runs.max-trigger-bytes)", value.len());
        return Err(refuse(Code::TriggerTooLarge, message));
    }
    // Skipped strings are not checked by the parser: the encoding is, first.
    let text = std::str::from_utf8(value)
        .map_err(|error| refuse(Code::TriggerNotJson, format!("{place} is not UTF-8: {error}")))?;
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(refuse(Code::TriggerNotJson, format!("{place} is not JSON: {error}")));
    }
    let Some(definition) = platform.catalog.live(&workspace, &workflow) else {
        let message = format!("{place}: workflow {workflow} has no live version in workspace {workspace}");
        return Err(refuse(Code::WorkflowUnknown, message));
    };
    let idempotency_key = record.headers.text(names::IDEMPOTENCY_KEY).map(str::to_owned);
    let origin = idempotency_key.as_deref().map_or_else(
        || RunOrigin::Record {
            topic: &record.source.topic,
            partition: record.source.partition,
            offset: record.offset,
            timestamp: record.timestamp,
        },
        RunOrigin::IdempotencyKey,
    );
    let run = RunId::derive(&workspace, &workflow, origin);
    let now = now_millis();
    let trigger = platform.claims.shared_payload(&workspace, now, Bytes::clone(value)).await?;
    Ok(StartRun {
        version: definition.at.version,
        run,
        trigger,
        origin: TriggerOrigin {
            topic: record.source.topic.to_string(),
            partition: record.source.partition,
            offset: record.offset,
            timestamp: record.timestamp,
        },
        idempotency_key,
        replay_of: record.headers.text(names::REPLAY_OF).and_then(|run| run.parse().ok()),
        generation: record.replay.as_deref().map(str::to_owned),
        accepted_at: now,
        workspace,
        workflow,
    })
}
