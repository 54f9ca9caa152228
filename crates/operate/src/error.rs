use prunella_catalog::Refusal;
use prunella_model::Code;
use prunella_stream::{OutputError, StreamError};
use prunella_wire::WireError;

/// Why an operator's command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the offsets of {what} cannot be had: {reason}")]
    Offsets { what: String, reason: String },
    #[error("there is no dead letter {id}: {reason}")]
    LetterUnknown { id: String, reason: &'static str },
    #[error("{0}")]
    Refused(String),
    /// About a mapping.
    #[error("{}", .0.message)]
    Mapping(Refusal),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl From<Refusal> for OperateError {
    fn from(refusal: Refusal) -> Self {
        Self::Mapping(refusal)
    }
}

impl OperateError {
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::Offsets { .. } => Code::BrokerUnreachable,
            Self::LetterUnknown { .. } => Code::LetterUnknown,
            Self::Refused(_) => Code::OperationRefused,
            Self::Mapping(refusal) => refusal.code,
            Self::Output(_) => Code::ProduceFailed,
        }
    }

    pub(crate) fn mapping(code: Code, message: impl Into<String>) -> Self {
        Self::Mapping(Refusal { code, message: message.into() })
    }

    pub(crate) fn mapping_unknown(message: impl Into<String>) -> Self {
        Self::mapping(Code::MappingUnknown, message)
    }
}
