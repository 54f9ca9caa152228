//! What the API answers. Times are milliseconds since the epoch, UTC.

use prunella_runview::AsOf;
use prunella_topology::Topics;
use prunella_wire::records::{ErrorInfo, RunEvent, RunState, StepState, TriggerOrigin};
use serde::Serialize;
use utoipa::ToSchema;

/// How current an answer is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AsOfAnswer {
    /// Timestamp of the newest record that the answer takes into account; null while there is none.
    newest: Option<i64>,
    /// Whether everything that was in Kafka when the service started is taken into account.
    caught_up: bool,
    /// Most records that are not taken into account yet; null when not known.
    lag: Option<i64>,
}

impl From<AsOf> for AsOfAnswer {
    fn from(as_of: AsOf) -> Self {
        Self { newest: as_of.newest, caught_up: as_of.caught_up, lag: as_of.lag }
    }
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    #[schema(example = "PRN-0703")]
    code: String,
    message: String,
}

impl From<ErrorInfo> for ErrorAnswer {
    fn from(error: ErrorInfo) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// Items that passed so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counts {
    extracted: i64,
    /// Mapped and validated.
    valid: i64,
    /// Sent to the dead-letter topic.
    dead_lettered: i64,
}

/// The trigger record that started a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OriginAnswer {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

impl From<TriggerOrigin> for OriginAnswer {
    fn from(origin: TriggerOrigin) -> Self {
        Self { topic: origin.topic, partition: origin.partition, offset: origin.offset, timestamp: origin.timestamp }
    }
}

/// Where the records of a run go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunTopics {
    /// Validated records.
    output: String,
    /// Items that could not be mapped or are not valid, and triggers that start no run.
    dead_letters: String,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunAnswer {
    #[schema(example = "5f0c0f2d1a6b4c3e9d8a7b6c5d4e3f21")]
    run: String,
    workspace: String,
    workflow: String,
    /// Version of the definition that the run keeps.
    version: i32,
    /// `pending`, `running`, `waiting`, `paused`, `succeeded`, `failed`, `cancelled`, or `unknown` when a later release wrote it.
    #[schema(example = "running")]
    status: &'static str,
    created_at: i64,
    /// When the run is failed if it has not ended.
    deadline: i64,
    ended_at: Option<i64>,
    counts: Counts,
    /// Why the run failed.
    error: Option<ErrorAnswer>,
    idempotency_key: Option<String>,
    /// W3C trace context of the trigger.
    traceparent: Option<String>,
    origin: OriginAnswer,
    topics: RunTopics,
}

impl RunAnswer {
    pub(crate) fn new(state: RunState, topics: &Topics) -> Self {
        Self {
            topics: RunTopics {
                output: topics.output(&state.workspace, &state.workflow),
                dead_letters: topics.deadletter(&state.workspace, &state.workflow),
            },
            run: state.run.into(),
            workspace: state.workspace.into(),
            workflow: state.workflow.into(),
            version: state.version.0,
            status: state.status.as_str(),
            created_at: state.created_at,
            deadline: state.deadline,
            ended_at: state.ended_at,
            counts: Counts { extracted: state.extracted, valid: state.valid, dead_lettered: state.dead_lettered },
            error: state.error.map(ErrorAnswer::from),
            idempotency_key: state.idempotency_key,
            traceparent: state.traceparent,
            origin: state.origin.into(),
        }
    }
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepAnswer {
    step: String,
    /// From 1.
    attempt: i32,
    /// `waiting`, `running`, `retrying`, `succeeded`, `failed`, `cancelled`, `skipped`, or `unknown` when a later release wrote it.
    #[schema(example = "succeeded")]
    status: &'static str,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    /// When the next attempt starts.
    retry_at: Option<i64>,
    /// Batches of the attempt; null until all are extracted.
    batches: Option<i64>,
    /// Batches that are done.
    batches_done: i64,
    counts: Counts,
    error: Option<ErrorAnswer>,
}

impl From<StepState> for StepAnswer {
    fn from(step: StepState) -> Self {
        Self {
            batches_done: step.seen.iter().map(|range| range.last - range.first + 1).sum(),
            step: step.step.into(),
            attempt: step.attempt.0,
            status: step.status.as_str(),
            started_at: step.started_at,
            ended_at: step.ended_at,
            retry_at: step.retry_at,
            batches: step.batches,
            counts: Counts { extracted: step.extracted, valid: step.valid, dead_lettered: step.dead_lettered },
            error: step.error.map(ErrorAnswer::from),
        }
    }
}

/// An entry of a run's history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAnswer {
    at: i64,
    /// Such as `run-started`, `step-failed`, `dead-letter`. Later releases may add more.
    #[schema(example = "step-succeeded")]
    kind: String,
    step: Option<String>,
    attempt: Option<i32>,
    batch: Option<i64>,
    code: Option<String>,
    message: String,
}

impl From<RunEvent> for EventAnswer {
    fn from(event: RunEvent) -> Self {
        Self {
            at: event.at,
            kind: event.kind,
            step: event.step.map(String::from),
            attempt: event.attempt.map(|attempt| attempt.0),
            batch: event.batch.map(|batch| batch.0),
            code: event.code,
            message: event.message,
        }
    }
}
