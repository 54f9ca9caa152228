use prunella_model::Code;

use crate::key::KeyId;

/// Why a value could not be sealed or opened, or a key not be used. No message shows a value or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("{place} is encrypted with key {id} and there is no key: set MASTER_ENCRYPTION_KEY")]
    NoKey { place: String, id: KeyId },
    #[error("{place} may only be kept encrypted and there is no key: set MASTER_ENCRYPTION_KEY")]
    KeyNeeded { place: String },
    #[error(
        "{place} is encrypted with key {id}, the keys at hand are {known}: add the key it was written with to \
         MASTER_ENCRYPTION_KEYS_OLD"
    )]
    UnknownKey { place: String, id: KeyId, known: String },
    #[error("{place} does not open: it was changed, cut, or written for another key or topic")]
    Tampered { place: String },
    #[error(
        "{place} is encrypted in form {version}, this release knows form 1: use the release that wrote it, or a later one"
    )]
    UnknownVersion { place: String, version: u8 },
    #[error("{place} is not encrypted: for the time of a change-over set MASTER_ENCRYPTION_ACCEPT_PLAIN=true")]
    Plain { place: String },
    #[error("{name}: {reason}")]
    Key { name: String, reason: String },
    #[error("{name}: {reason}")]
    Secret { name: String, reason: String },
}

impl VaultError {
    pub fn code(&self) -> Code {
        match self {
            Self::NoKey { .. } | Self::KeyNeeded { .. } => Code::VaultNoKey,
            Self::UnknownKey { .. } => Code::VaultWrongKey,
            Self::Tampered { .. } => Code::VaultTampered,
            Self::UnknownVersion { .. } => Code::VaultVersion,
            Self::Plain { .. } => Code::VaultPlain,
            Self::Key { .. } => Code::VaultKey,
            Self::Secret { .. } => Code::SecretUnreadable,
        }
    }
}
