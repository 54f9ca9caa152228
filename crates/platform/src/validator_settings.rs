use prunella_model::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of what is written to output topics, of runs and streams.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ValidatorSettings {
    /// Largest output record; a larger one is dead-lettered. Keep it below `max.message.bytes` of the output topics.
    pub max_output_bytes: ByteSize,
    /// Field errors that are kept of one item or record.
    pub max_field_errors: usize,
    /// Largest output that is kept in the header of a dead letter.
    pub max_header_bytes: ByteSize,
}

impl Default for ValidatorSettings {
    fn default() -> Self {
        Self {
            max_output_bytes: ByteSize::from_bytes(1_000_000),
            max_field_errors: 20,
            max_header_bytes: ByteSize::from_kib(64),
        }
    }
}
