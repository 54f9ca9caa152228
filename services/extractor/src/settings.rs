use prunella_model::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the extractor works.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ExtractorSettings {
    /// Extractions that run at the same time in one process; further ones wait their turn.
    pub concurrency: usize,
    /// Extractions that may have been accepted and not be over, paused ones not counted. When there are that many,
    /// requests stay on their topic.
    pub most_accepted: usize,
    /// Most items of one batch.
    pub batch_items: usize,
    /// Most bytes of the items of one batch, unless a single item is larger.
    pub batch_bytes: ByteSize,
    /// Batches that are sent before the journal is written again.
    pub journal_batches: usize,
}

impl Default for ExtractorSettings {
    fn default() -> Self {
        Self {
            concurrency: 32,
            most_accepted: 1000,
            batch_items: 500,
            batch_bytes: ByteSize::from_kib(256),
            journal_batches: 16,
        }
    }
}
