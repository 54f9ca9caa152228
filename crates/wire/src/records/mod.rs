//! Control records: one struct per file in `schemas/`. Times are milliseconds since the epoch, UTC.

mod commands;
mod healing;
mod log;
mod operations;
mod stage;
mod state;
mod workflow;

use serde::{Deserialize, Serialize};

use prunella_model::{
    Attempt, Code, RunId, StepId, WorkflowName, WorkflowRef, WorkflowVersion as Version, WorkspaceName,
};

use crate::schema::control_records;

pub use commands::{
    BatchResult, CancelNotice, CancelRun, ExtractionEnded, StartRun, StepFailed, StepPause, StepSkipped,
};
pub use healing::{
    HealOutcome, ItemsMove, MappingActive, MappingCommand, MappingConsultation, MappingDecision, MappingDecisions,
    MappingDrift, MappingProfile, MappingSample, MappingVersion, ModelAnswer, MovedItems, MovedList, ParkedBatch,
    TriedMapping,
};
pub use log::{AuditEvent, LlmCall, RunEvent};
pub use operations::{LetterAction, LetterMark, ReplayPartition, ReplayProgress};
pub use stage::{ExtractRequest, RunContext, StageBatch, StageItem, StepOutputs};
pub use state::{BatchRange, Dispatch, Extraction, RunInput, RunState, RunStatus, StepOutput, StepState, StepStatus};
pub use workflow::{WorkflowLive, WorkflowVersion};

control_records! {
    AuditEvent => "audit_event",
    BatchResult => "batch_result",
    CancelNotice => "cancel_notice",
    CancelRun => "cancel_run",
    ExtractRequest => "extract_request",
    Extraction => "extraction",
    ExtractionEnded => "extraction_ended",
    LetterMark => "letter_mark",
    ReplayProgress => "replay_progress",
    HealOutcome => "heal_outcome",
    MappingActive => "mapping_active",
    MappingCommand => "mapping_command",
    MappingConsultation => "mapping_consultation",
    MappingDecisions => "mapping_decisions",
    MappingDrift => "mapping_drift",
    MappingProfile => "mapping_profile",
    ModelAnswer => "model_answer",
    MappingSample => "mapping_sample",
    MappingVersion => "mapping_version",
    MovedItems => "moved_items",
    ParkedBatch => "parked_batch",
    LlmCall => "llm_call",
    RunEvent => "run_event",
    RunInput => "run_input",
    RunState => "run_state",
    StageBatch => "stage_batch",
    StartRun => "start_run",
    StepFailed => "step_failed",
    StepOutput => "step_output",
    StepPause => "step_pause",
    StepSkipped => "step_skipped",
    StepState => "step_state",
    WorkflowLive => "workflow_live",
    WorkflowVersion => "workflow_version",
}

/// One attempt of one step of one run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepRef {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: Version,
    pub run: RunId,
    pub step: StepId,
    pub attempt: Attempt,
}

impl StepRef {
    pub fn workflow_ref(&self) -> WorkflowRef {
        WorkflowRef { workspace: self.workspace.clone(), workflow: self.workflow.clone(), version: self.version }
    }
}

impl std::fmt::Display for StepRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.step, self.attempt)
    }
}

/// What went wrong, for people and for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    pub code: String,
    pub message: String,
}

impl ErrorInfo {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.id().to_owned(), message: message.into() }
    }
}

/// The trigger record that started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerOrigin {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
}
