use prunella_model::Code;
use prunella_stream::StreamError;
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
}

impl OperateError {
    pub fn code(&self) -> Code {
        match self {
            Self::Stream(error) => error.code(),
            Self::Wire(error) => error.code(),
            Self::Offsets { .. } => Code::BrokerUnreachable,
            Self::LetterUnknown { .. } => Code::LetterUnknown,
            Self::Refused(_) => Code::OperationRefused,
        }
    }
}
