use std::path::PathBuf;

use prunella_model::Code;

/// Why the view cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum RunViewError {
    #[error("the view of runs cannot be kept in {}: {reason}; name a directory that this process can write to (gateway.view-directory)", path.display())]
    Directory { path: PathBuf, reason: String },
    #[error("the view of runs in {} is open in another process; give each gateway a directory of its own (gateway.view-directory)", path.display())]
    InUse { path: PathBuf },
    #[error("the view of runs is being opened again; ask again in a moment")]
    Closed,
    #[error("the view of runs in {} cannot be read or written: {reason}; it is opened again, and rebuilt if it is damaged", path.display())]
    Storage { path: PathBuf, reason: String, damaged: bool },
    #[error(
        "{text:?} is not a cursor of this list: use the `next` of an earlier answer as it is, or none for the first page"
    )]
    Cursor { text: String },
}

impl RunViewError {
    pub fn code(&self) -> Code {
        match self {
            Self::Directory { .. } | Self::InUse { .. } => Code::RunViewUnusable,
            Self::Closed | Self::Storage { .. } => Code::RunViewBehind,
            Self::Cursor { .. } => Code::RequestMalformed,
        }
    }
}
