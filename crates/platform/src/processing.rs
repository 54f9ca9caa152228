use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use prunella_stream::{Guarantee, TransactionSettings};

/// What services promise, and how they are put together.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Processing {
    /// What each service promises about what it writes: `at-least-once` or `exactly-once`.
    pub guarantee: Guarantees,
    /// Where the work of a run is done.
    pub placement: Placement,
    /// The transactions of exactly-once services.
    pub transactions: TransactionSettings,
}

/// What each service promises about what it writes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Guarantees {
    /// State of runs, requests for steps, and, where steps are done in place, their outputs.
    pub orchestrator: Guarantee,
    /// Batches of extractions and how far each extraction is.
    pub extractor: Guarantee,
    /// Mapped batches and dead letters of items.
    pub transformer: Guarantee,
    /// Outputs, dead letters of items and results of batches.
    pub validator: Guarantee,
    /// Outputs and dead letters of streams.
    pub streams: Guarantee,
    /// Versions of mappings, items that wait for them, and their outputs.
    pub healer: Guarantee,
}

impl Default for Guarantees {
    fn default() -> Self {
        Self {
            orchestrator: Guarantee::ExactlyOnce,
            extractor: Guarantee::AtLeastOnce,
            transformer: Guarantee::AtLeastOnce,
            validator: Guarantee::AtLeastOnce,
            streams: Guarantee::AtLeastOnce,
            healer: Guarantee::ExactlyOnce,
        }
    }
}

/// Where the work of a run is done. The same results, and one can switch with work in flight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Each stage takes its work from a topic of its own: stages scale apart, and a slow one holds up no other.
    #[default]
    Staged,
    /// Work goes on in memory where it is: steps that ask nothing of the world are done by the orchestrator at
    /// once, pages of a source are mapped and validated by the extractor. Far fewer hops through Kafka.
    Fused,
}
