use prunella_model::{RunId, WorkflowRef};
use prunella_wire::records::{BatchResult, CancelRun, ExtractionEnded, StartRun, StepFailed, StepRef, StepSkipped};

/// Commands of `stage.progress`.
pub(crate) enum Command {
    Start(StartRun),
    Batch(BatchResult),
    ExtractionEnded(ExtractionEnded),
    StepFailed(StepFailed),
    StepSkipped(StepSkipped),
    Cancel(CancelRun),
}

impl Command {
    pub(crate) fn run(&self) -> &RunId {
        match self {
            Self::Start(command) => &command.run,
            Self::Cancel(command) => &command.run,
            Self::Batch(BatchResult { at, .. })
            | Self::ExtractionEnded(ExtractionEnded { at, .. })
            | Self::StepFailed(StepFailed { at, .. })
            | Self::StepSkipped(StepSkipped { at, .. }) => &at.run,
        }
    }

    /// The step attempt that a result is about.
    pub(crate) fn step(&self) -> Option<&StepRef> {
        match self {
            Self::Start(_) | Self::Cancel(_) => None,
            Self::Batch(BatchResult { at, .. })
            | Self::ExtractionEnded(ExtractionEnded { at, .. })
            | Self::StepFailed(StepFailed { at, .. })
            | Self::StepSkipped(StepSkipped { at, .. }) => Some(at),
        }
    }

    /// The definition that a start needs.
    pub(crate) fn started_workflow(&self) -> Option<WorkflowRef> {
        let Self::Start(start) = self else { return None };
        Some(WorkflowRef {
            workspace: start.workspace.clone(),
            workflow: start.workflow.clone(),
            version: start.version,
        })
    }
}
