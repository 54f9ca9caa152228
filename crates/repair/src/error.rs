use std::path::PathBuf;

use prunella_model::Code;

#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("the mapping does not compile: {message}")]
    Mapping { message: String },
    #[error("the target schema cannot be used: {message}")]
    Schema { message: String },
}

impl RepairError {
    pub fn code(&self) -> Code {
        match self {
            Self::File { .. } => Code::RepairCase,
            Self::Mapping { .. } => Code::MappingSyntax,
            Self::Schema { .. } => Code::WorkflowSchema,
        }
    }
}
