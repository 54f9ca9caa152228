use std::time::Duration;

use prunella_model::{ByteSize, Code};
use prunella_vault::VaultError;

/// Why there are no candidates. No message holds a key or a value of a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    #[error("llm: {reason}")]
    Settings { reason: String },
    #[error(transparent)]
    Secret(#[from] VaultError),
    #[error("no language model can be asked: {reason}")]
    NotConfigured { reason: String },
    #[error("{provider} does not accept the key (llm.providers.{provider}.key): {reason}")]
    Unauthorized { provider: String, reason: String },
    #[error("{provider} refuses the request: {reason}")]
    Refused { provider: String, reason: String },
    #[error("{provider} wants to be left alone for {}", shown(*.again_in))]
    RateLimited { provider: String, again_in: Duration },
    #[error("{reason}")]
    Budget { reason: String, again_in: Option<Duration> },
    #[error("the answer of {provider} cannot be used: {reason}")]
    BadAnswer { provider: String, reason: String },
    #[error("the answer of {provider} is cut off: {reason}")]
    Truncated { provider: String, reason: String },
    #[error("{provider} gave no complete answer within {} (llm.timeout)", shown(*.timeout))]
    Timeout { provider: String, timeout: Duration },
    #[error("{provider} has failed too often and is left alone for another {}", shown(*.again_in))]
    CircuitOpen { provider: String, again_in: Duration },
    #[error("{provider} cannot be had: {reason}")]
    Unavailable { provider: String, reason: String },
    #[error(
        "schema, mapping and field errors take {bytes} bytes of the prompt, more than {limit} (llm.max-prompt-bytes)"
    )]
    TooLarge { bytes: usize, limit: ByteSize },
}

impl LlmError {
    pub fn code(&self) -> Code {
        match self {
            Self::Settings { .. } => Code::Config,
            Self::Secret(error) => error.code(),
            Self::NotConfigured { .. } => Code::LlmNotConfigured,
            Self::Unauthorized { .. } => Code::LlmUnauthorized,
            Self::Refused { .. } => Code::LlmRefused,
            Self::RateLimited { .. } => Code::LlmRateLimited,
            Self::Budget { .. } => Code::LlmBudget,
            Self::BadAnswer { .. } => Code::LlmBadAnswer,
            Self::Truncated { .. } => Code::LlmTruncated,
            Self::Timeout { .. } => Code::LlmTimeout,
            Self::CircuitOpen { .. } => Code::LlmCircuitOpen,
            Self::Unavailable { .. } => Code::LlmUnavailable,
            Self::TooLarge { .. } => Code::LlmTooLarge,
        }
    }

    /// When it is worth asking again, if that is known.
    pub fn again_in(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { again_in, .. } | Self::CircuitOpen { again_in, .. } => Some(*again_in),
            Self::Budget { again_in, .. } => *again_in,
            _ => None,
        }
    }
}

/// Whole milliseconds: a message is no measurement.
pub(crate) fn shown(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    prunella_model::Period::from_millis(millis.max(1)).to_string()
}
