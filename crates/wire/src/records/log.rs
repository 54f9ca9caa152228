//! What stands in `log.runs` and `log.audit`.

use serde::{Deserialize, Serialize};

use prunella_model::{Attempt, BatchNumber, RunId, StepId, WorkflowName, WorkspaceName};

/// Something that happened to a run, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEvent {
    pub run: RunId,
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub at: i64,
    /// `run-started`, `step-failed` …: the list stands in the schema.
    pub kind: String,
    pub step: Option<StepId>,
    pub attempt: Option<Attempt>,
    pub batch: Option<BatchNumber>,
    pub code: Option<String>,
    pub message: String,
}

/// Something that a person or a machine changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub workspace: WorkspaceName,
    pub subject: String,
    pub detail: String,
}
