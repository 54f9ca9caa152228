use prunella_model::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RunSettings {
    /// Largest value of a trigger record; a larger one is dead-lettered.
    pub max_trigger_bytes: ByteSize,
    /// How long an ended run can be looked up, and its trigger is known as a duplicate. Keep it longer than
    /// the retention of the trigger topics.
    pub retention: Period,
    /// Bytes of live runs that a process may hold. Triggers of workflows that hold more than an eighth of it then stay
    /// in their topics until runs have ended, and at twice as much all triggers.
    pub memory: ByteSize,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            max_trigger_bytes: ByteSize::from_mib(16),
            retention: Period::from_secs(14 * 86_400),
            memory: ByteSize::from_mib(32),
        }
    }
}
