use prunella_model::Code;

/// Why a record, a schema or a stored payload cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the value of {record} cannot be written as Avro: {reason}")]
    Encode { record: &'static str, reason: String },
    #[error(
        "a control record of {length} bytes starts with {start:02x?}: expected Avro single-object encoding (c3 01 …) or the Confluent wire format (00 …)"
    )]
    Framing { length: usize, start: Vec<u8> },
    #[error("a record written as {writer} cannot be read as {reader}: {reason}")]
    Decode { writer: String, reader: &'static str, reason: String },
    #[error("a record of type {found} stands where {expected} was expected")]
    UnexpectedRecord { found: String, expected: &'static str },
    #[error(
        "the schema with fingerprint {fingerprint} is not in the schema topic: a newer release wrote this record and its schema has not arrived yet, or the topic was emptied"
    )]
    UnknownFingerprint { fingerprint: String },
    #[error("the registry {url} has no usable schema with id {id}: {reason}")]
    UnknownRegistryId { id: u32, url: String, reason: String },
    #[error("{record} is not registered for topic {topic}: schemas are registered when a service starts")]
    NotRegistered { record: &'static str, topic: String },
    #[error(
        "the schema registry {url} refused or did not answer: {reason}; check the url, credentials and compatibility rules of the subject"
    )]
    Registry { url: String, reason: String },
    #[error(
        "a record in the Confluent wire format arrived (schema id {id}) but no schema registry is configured: set schema-registry.url"
    )]
    NoRegistry { id: u32 },
    #[error(
        "a value of {length} bytes starts with {start:02x?}: expected Avro in the Confluent wire format (00 and the schema's id in 4 bytes)"
    )]
    NotConfluent { length: usize, start: Vec<u8> },
    #[error("an Avro value cannot be read: {reason}")]
    Value { reason: String },
    #[error("the value does not fit the Avro schema of the output: {reason}")]
    ValueMisfit { reason: String },
    #[error("the schema of {subject} cannot be registered: no schema registry is configured, set schema-registry.url")]
    NoRegistryToWrite { subject: String },
    #[error(
        "the stored payload {location} cannot be read: {reason}; it is kept in the object store (claims.directory), which every service must reach"
    )]
    ClaimUnreadable { location: String, reason: String },
    #[error(
        "the stored payload {location} does not have the digest that its record names: the object store was changed or is damaged"
    )]
    ClaimDamaged { location: String },
    #[error("a payload of {length} bytes cannot be stored: {reason}; check space and permissions of claims.directory")]
    ClaimUnwritable { length: usize, reason: String },
    #[error("a payload of {length} bytes is over the limit of {limit} bytes ({key})")]
    TooLarge { length: u64, limit: u64, key: &'static str },
}

impl WireError {
    pub fn code(&self) -> Code {
        match self {
            Self::Encode { .. }
            | Self::Framing { .. }
            | Self::Decode { .. }
            | Self::UnexpectedRecord { .. }
            | Self::NotConfluent { .. }
            | Self::Value { .. } => Code::RecordMalformed,
            Self::ValueMisfit { .. } => Code::OutputFormat,
            Self::NoRegistryToWrite { .. } => Code::Config,
            Self::UnknownFingerprint { .. } | Self::UnknownRegistryId { .. } | Self::NoRegistry { .. } => {
                Code::SchemaUnknown
            }
            Self::Registry { .. } | Self::NotRegistered { .. } => Code::RegistryUnavailable,
            Self::ClaimUnreadable { .. } | Self::ClaimDamaged { .. } | Self::ClaimUnwritable { .. } => {
                Code::ClaimMissing
            }
            Self::TooLarge { .. } => Code::RecordTooLarge,
        }
    }
}
