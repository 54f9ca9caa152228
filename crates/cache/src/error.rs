use prunella_model::Code;
use prunella_vault::VaultError;

/// Why there can be no cache: a mistake in its settings. That Redis is away is none.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    #[error(
        "redis.url: {reason}; expected redis://host:port or rediss://host:port, or env:NAME or file:/path that holds it"
    )]
    Url { reason: String },
    #[error("redis.url: {0}")]
    Secret(#[from] VaultError),
}

impl CacheError {
    pub fn code(&self) -> Code {
        match self {
            Self::Url { .. } => Code::Config,
            Self::Secret(error) => error.code(),
        }
    }
}
