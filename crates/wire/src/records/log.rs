//! What stands in `log.runs`, `log.audit` and `log.llm`.

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

/// A language model was asked, or would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LlmCall {
    pub id: String,
    pub at: i64,
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub step: StepId,
    /// Mapping key.
    pub mapping: String,
    pub run: Option<RunId>,
    /// `repair-mapping`.
    pub purpose: String,
    /// Name of the provider in the configuration.
    pub provider: String,
    pub model: String,
    /// `answered`, `cached` or `failed`.
    pub outcome: String,
    pub code: Option<String>,
    pub message: String,
    /// The redacted prompt.
    pub request: String,
    pub request_digest: String,
    pub answer_digest: Option<String>,
    pub candidates: i32,
    pub redacted: i64,
    /// Requests that were sent.
    pub tries: i32,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    /// `None`: the price or the tokens are not known.
    pub cost_micros: Option<i64>,
    /// What the budgets count.
    pub charged_micros: i64,
    pub currency: String,
    pub duration_ms: i64,
}
