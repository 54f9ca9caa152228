use prunella_model::Code;
use prunella_wire::WireError;

/// Why the HTTP API cannot run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(
        "gateway.listen is {listen}, which others can reach, and there is no gateway.token: set one (env:NAME and file:/path are read from elsewhere), or listen on 127.0.0.1"
    )]
    TokenMissing { listen: String },
    #[error("gateway.token cannot be used: {reason}")]
    Token { reason: String },
    #[error("gateway.listen {listen}: {reason}; choose an address of this machine and a free port")]
    Listen { listen: String, reason: String },
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl GatewayError {
    pub fn code(&self) -> Code {
        match self {
            Self::TokenMissing { .. } => Code::GatewayTokenMissing,
            Self::Token { .. } => Code::Config,
            Self::Listen { .. } => Code::GatewayListen,
            Self::Wire(error) => error.code(),
        }
    }
}
