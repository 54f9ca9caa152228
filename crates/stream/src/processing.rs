use prunella_model::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a service promises about the records it writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Guarantee {
    /// Everything is written once or, after a failure, more often; offsets follow what is written.
    #[default]
    AtLeastOnce,
    /// What a service writes and the offsets it read up to become visible together, or not at all.
    ExactlyOnce,
}

impl Guarantee {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::ExactlyOnce => "exactly-once",
        }
    }
}

/// How transactions of an exactly-once service are made.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TransactionSettings {
    /// Number of this process among those that run the same service, from 0. It names the transactions and the
    /// group membership of the process: two processes with one slot fence each other off.
    pub slot: u32,
    /// Shortest time between the begin of two transactions. Outcomes that come meanwhile go into the next one:
    /// longer means fewer and larger transactions, and later results.
    pub interval: Period,
    /// How long Kafka waits for a transaction of a process that died before it aborts it. Readers of committed
    /// records wait as long.
    pub timeout: Period,
    /// Most records of one transaction.
    pub max_records: usize,
}

impl Default for TransactionSettings {
    fn default() -> Self {
        Self { slot: 0, interval: Period::from_millis(0), timeout: Period::from_secs(10), max_records: 10_000 }
    }
}
