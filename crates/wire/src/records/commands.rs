//! Commands and results on `stage.progress`, keyed by run id; and cancel notices on `stage.control`.

use serde::{Deserialize, Serialize};

use prunella_model::{BatchNumber, RunId, StepId, WorkflowName, WorkflowVersion, WorkspaceName};

use super::{ErrorInfo, StepRef, TriggerOrigin};
use crate::Payload;

/// Start a run. Sent to the run's home by whoever read the trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRun {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: WorkflowVersion,
    pub run: RunId,
    pub trigger: Payload,
    pub origin: TriggerOrigin,
    pub idempotency_key: Option<String>,
    pub accepted_at: i64,
    /// The run that this one does again.
    pub replay_of: Option<RunId>,
    /// Set when the trigger is read again because its group was rewound: a run that is known is done again.
    pub generation: Option<String>,
}

/// End a run that has not ended yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRun {
    pub workspace: WorkspaceName,
    pub run: RunId,
    pub requested_by: String,
    pub reason: String,
    pub requested_at: i64,
}

/// A step's extraction has sent all its batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractionEnded {
    pub at: StepRef,
    pub batches: i64,
    pub items: i64,
    pub ended_at: i64,
}

/// One batch of a step is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResult {
    pub at: StepRef,
    pub batch: BatchNumber,
    pub items: i32,
    pub valid: i32,
    pub dead_lettered: i32,
    pub outputs: Option<Payload>,
    pub error: Option<ErrorInfo>,
    pub ended_at: i64,
}

/// A step cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailed {
    pub at: StepRef,
    pub batch: Option<BatchNumber>,
    pub error: ErrorInfo,
    pub retry_at: Option<i64>,
    pub failed_at: i64,
}

/// The condition of a step is not true: it counts as done, without items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSkipped {
    pub at: StepRef,
    pub skipped_at: i64,
}

/// Busy stages stop working for this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelNotice {
    pub run: RunId,
    pub workspace: WorkspaceName,
    pub at: i64,
}

/// A step extracts nothing until then, or goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPause {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: WorkflowVersion,
    pub step: StepId,
    /// 0: it goes on.
    pub until: i64,
    pub reason: String,
    pub at: i64,
}
