use prunella_model::{Code, WorkflowName, WorkflowVersion};
use prunella_stream::StreamError;
use prunella_wire::WireError;

/// Why the catalog could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the change was not written: {reason}; nothing has changed, try again")]
    NotWritten { reason: String },
    #[error("somebody else changed the catalog at the same time, {tries} times in a row; try again")]
    Contended { tries: u32 },
    #[error("workflow {workflow} has no version {version}; it has {known}")]
    UnknownVersion { workflow: WorkflowName, version: WorkflowVersion, known: String },
    #[error("there is no workflow {workflow} in workspace {workspace}; `prunella workflows list` shows what there is")]
    UnknownWorkflow { workspace: String, workflow: WorkflowName },
}

impl CatalogError {
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::NotWritten { .. } | Self::Contended { .. } => Code::ProduceFailed,
            Self::UnknownVersion { .. } | Self::UnknownWorkflow { .. } => Code::WorkflowUnknown,
        }
    }
}
