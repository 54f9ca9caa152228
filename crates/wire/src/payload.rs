use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes of a user's data on their way through the stages: inline while small, else a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "PayloadFields", try_from = "PayloadFields")]
pub enum Payload {
    Inline(Bytes),
    Claim(Claim),
}

impl Payload {
    /// Number of bytes of this payload that are in memory.
    pub fn in_memory(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Claim(_) => size_of::<Self>(),
        }
    }

    /// Number of bytes behind this payload, wherever they are.
    pub fn length(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Claim(claim) => u64::try_from(claim.length).unwrap_or(0),
        }
    }
}

/// A reference to bytes in the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// `<workspace>/<day>/<sha256>` below the store's root.
    pub location: String,
    /// Lower-case hex.
    pub sha256: String,
    pub length: i64,
}

/// How Avro sees a payload: two nullable fields, so that either can grow without a union of its own.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Payload")]
struct PayloadFields {
    inline: Option<Bytes>,
    claim: Option<Claim>,
}

impl From<Payload> for PayloadFields {
    fn from(payload: Payload) -> Self {
        match payload {
            Payload::Inline(bytes) => Self { inline: Some(bytes), claim: None },
            Payload::Claim(claim) => Self { inline: None, claim: Some(claim) },
        }
    }
}

impl TryFrom<PayloadFields> for Payload {
    type Error = &'static str;
    fn try_from(fields: PayloadFields) -> Result<Self, Self::Error> {
        match (fields.inline, fields.claim) {
            (Some(bytes), None) => Ok(Self::Inline(bytes)),
            (None, Some(claim)) => Ok(Self::Claim(claim)),
            _ => Err("a payload has exactly one of inline and claim"),
        }
    }
}
