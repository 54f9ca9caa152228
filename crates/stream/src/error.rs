use prunella_model::Code;

/// Why a stage cannot run, or stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StreamError {
    #[error("the Kafka client of {stage} cannot be made: {reason}")]
    Client { stage: String, reason: String },
    #[error("configuration key kafka.librdkafka.{key} cannot be set: {reason}")]
    OwnedSetting { key: String, reason: &'static str },
    #[error("configuration key {key} names {value}, but {reason}")]
    Secret { key: String, value: String, reason: &'static str },
    #[error("{stage} lost its place in the consumer group: {reason}")]
    Group { stage: String, reason: String },
    #[error(
        "{stage} could not write {records} records to Kafka: {reason}; nothing was committed, the records are taken again"
    )]
    Produce { stage: String, records: usize, reason: String },
    #[error("a transaction of {stage} did not come to its end: {reason}; its records are taken again")]
    Transaction { stage: String, reason: String },
    #[error(
        "{stage} was fenced off: {reason}. If another process runs {stage} with slot {slot}, give each its own processing.transactions.slot"
    )]
    Fenced { stage: String, slot: u32, reason: String },
    #[error("the Kafka cluster does not allow the transactions of {stage}: {reason}")]
    Denied { stage: String, reason: String },
    #[error("{place} cannot be restored: {reason}")]
    Restore { place: String, reason: String },
    #[error("{stage} stopped at {place}: {reason}")]
    Stage { stage: String, place: String, code: Code, reason: String },
}

impl StreamError {
    pub fn code(&self) -> Code {
        match self {
            Self::Client { .. } | Self::OwnedSetting { .. } | Self::Secret { .. } => Code::Config,
            Self::Group { .. } => Code::BrokerUnreachable,
            Self::Produce { .. } => Code::ProduceFailed,
            Self::Transaction { .. } => Code::TransactionFailed,
            Self::Fenced { .. } => Code::SlotInUse,
            Self::Denied { .. } => Code::BrokerAuthorization,
            Self::Restore { .. } => Code::StateUnreadable,
            Self::Stage { code, .. } => *code,
        }
    }
}
