use prunella_model::{Code, Kind, WorkflowName, WorkflowVersion};
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
    #[error("{name} is a {known} in workspace {workspace}, so no {wanted} can have that name; choose another one")]
    OtherKind { workspace: String, name: WorkflowName, known: String, wanted: Kind },
    #[error("{workflow} has no version {version}; it has {known}")]
    UnknownVersion { workflow: WorkflowName, version: WorkflowVersion, known: String },
    #[error(
        "there is no workflow or stream {workflow} in workspace {workspace}; `prunella workflows list` shows what there is"
    )]
    UnknownWorkflow { workspace: String, workflow: WorkflowName },
}

impl CatalogError {
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::NotWritten { .. } | Self::Contended { .. } => Code::ProduceFailed,
            Self::OtherKind { .. } => Code::WorkflowKind,
            Self::UnknownVersion { .. } | Self::UnknownWorkflow { .. } => Code::WorkflowUnknown,
        }
    }
}
