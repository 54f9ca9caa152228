//! What stands in `state.runs` and `state.extractions`.

use serde::{Deserialize, Serialize};

use prunella_model::{Attempt, BatchNumber, RunId, StepId, WorkflowName, WorkflowVersion, WorkspaceName};

use super::{ErrorInfo, RunContext, StepRef, TriggerOrigin};
use crate::Payload;

/// Where a run is. Terminal states are immutable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Written by a later release; treated as live and left alone.
    Unknown,
    Pending,
    Running,
    Waiting,
    Paused,
    Succeeded,
    Failed,
    Cancelled,
}

impl RunStatus {
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Key `<run>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    pub run: RunId,
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: WorkflowVersion,
    pub status: RunStatus,
    pub origin: TriggerOrigin,
    pub idempotency_key: Option<String>,
    pub created_at: i64,
    pub deadline: i64,
    pub ended_at: Option<i64>,
    /// Steps of the definition.
    pub steps: i32,
    pub extracted: i64,
    pub valid: i64,
    pub dead_lettered: i64,
    pub error: Option<ErrorInfo>,
    pub traceparent: Option<String>,
    /// Steps that have no records of their own, because the run was over before any was written.
    pub done_steps: Vec<StepState>,
    /// The run that this one does again.
    pub replay_of: Option<RunId>,
}

/// Key `<run>/@trigger`: the value that started the run, written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    pub run: RunId,
    pub trigger: Payload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Written by a later release.
    Unknown,
    /// Waits for the steps it needs.
    Waiting,
    Running,
    /// Waits for `retry_at`.
    Retrying,
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
}

impl StepStatus {
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Skipped)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// How an attempt was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dispatch {
    /// By a record on a stage topic: it is there until someone has done it.
    Topic,
    /// In memory: handed out again after a restore.
    Local,
}

/// Key `<run>/<step>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    pub run: RunId,
    pub step: StepId,
    pub attempt: Attempt,
    pub status: StepStatus,
    pub dispatch: Dispatch,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub retry_at: Option<i64>,
    /// Batches of the attempt; known once the extraction has ended.
    pub batches: Option<i64>,
    /// Batches whose result was counted.
    pub seen: Vec<BatchRange>,
    pub extracted: i64,
    pub valid: i64,
    pub dead_lettered: i64,
    pub error: Option<ErrorInfo>,
}

/// Batches `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRange {
    pub first: i64,
    pub last: i64,
}

/// Key `<run>/<step>/<attempt>/<batch>`: validated items that a later step reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutput {
    pub run: RunId,
    pub step: StepId,
    pub attempt: Attempt,
    pub batch: BatchNumber,
    pub outputs: Payload,
}

/// Key `<run>/<step>/<attempt>` of `state.extractions`: the journal of an extraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extraction {
    pub at: StepRef,
    pub deadline: i64,
    pub context: RunContext,
    /// Position of the next page; `None` is the first page.
    pub cursor: Option<String>,
    /// Batches of that page which are sent already.
    pub page_batches: i32,
    pub next_batch: BatchNumber,
    pub items: i64,
    /// All batches are sent and counted in `next_batch`.
    pub ended: bool,
    /// The extraction ended with an error that was reported.
    pub failed: bool,
    /// Times the page at the cursor was put off.
    pub tries: i32,
    /// Put off until the orchestrator asks again.
    pub retry_at: Option<i64>,
    /// The time that the expressions of the step see.
    pub requested_at: i64,
    pub updated_at: i64,
    pub traceparent: Option<String>,
    /// Offset of the request in its home partition.
    pub request_offset: i64,
}
