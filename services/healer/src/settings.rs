use prunella_model::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How mappings are healed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HealingSettings {
    /// How long failing items are gathered before a repair is attempted.
    pub gather: Period,
    /// Longest wait between two attempts on the same mapping; the wait doubles with every attempt that proves nothing.
    pub max_backoff: Period,
    /// Most failing items that one attempt looks at.
    pub sample_items: usize,
    /// Items are taken for bad data, and not for a source that changed, when less than this share of all that come fail.
    pub drift_share: f64,
    /// Fewer failing items than this are bad data if nothing else comes within `patience`.
    pub few_items: usize,
    /// How long a few failing items wait for others.
    pub patience: Period,
    /// Mappings that are tried on a parked item before it goes to the dead letters.
    pub tries: u32,
    /// How long an item may be parked; then it goes to the dead letters.
    pub longest_parked: Period,
    /// Most bytes of parked items per home of mappings; what comes on top goes to the dead letters.
    pub max_parked_bytes: ByteSize,
    /// How often a valid item of a mapping is remembered, so that a repair can be proven on it. The first 24 of a version
    /// come quicker, and up to 8 that could have been taken while nothing ran are caught up on.
    pub remember_every: Period,
    /// Times a language model is asked about one change of a source, if one is configured and structure is not enough.
    pub model_attempts: u32,
    /// How long a version is watched that came into use. It is rolled back by itself when its outputs cannot be what was
    /// meant, and what it has driven is driven again.
    pub watch: Period,
}

impl Default for HealingSettings {
    fn default() -> Self {
        Self {
            gather: Period::from_secs(1),
            max_backoff: Period::from_secs(300),
            sample_items: 200,
            drift_share: 0.3,
            few_items: 3,
            patience: Period::from_secs(60),
            tries: 3,
            longest_parked: Period::from_secs(7 * 86_400),
            max_parked_bytes: ByteSize::from_mib(64),
            remember_every: Period::from_secs(10),
            model_attempts: 3,
            watch: Period::from_secs(600),
        }
    }
}
