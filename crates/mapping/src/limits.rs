use prunella_model::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one evaluation of a mapping or expression may use. Reaching a limit is an error with a code of its own,
/// never a truncation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Longest time of one evaluation. One whose time runs out while its process stands still or hardly gets a processor
    /// is evaluated again. A running built-in function is not interrupted; the sizes below bound how long one can run.
    pub timeout: Period,
    /// Most steps of one evaluation: nodes evaluated, functions called, 1024 steps of a regular expression. The same
    /// expression and input take the same steps on every machine; a mapping of a 100 KB document takes some 40,000.
    pub max_steps: u64,
    /// Deepest nesting of calls and sub-expressions while evaluating.
    pub max_depth: usize,
    /// Longest string the evaluation may build, in bytes of UTF-8.
    pub max_string_length: ByteSize,
    /// Longest array the evaluation may build, in items.
    pub max_array_length: usize,
    /// Largest result, as compact JSON text.
    pub max_result_bytes: ByteSize,
    /// Largest input, as JSON text.
    pub max_input_bytes: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Period::from_secs(1),
            max_steps: 5_000_000,
            max_depth: 500,
            max_string_length: ByteSize::from_mib(4),
            max_array_length: 100_000,
            max_result_bytes: ByteSize::from_mib(8),
            max_input_bytes: ByteSize::from_mib(16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_are_refused() {
        let limits: Limits = serde_json::from_str(r#"{"timeout":"250ms","max-result-bytes":"1MiB"}"#).expect("limits");
        assert_eq!(limits.timeout, Period::from_millis(250));
        assert_eq!(limits.max_result_bytes, ByteSize::from_mib(1));
        assert_eq!(limits.max_depth, Limits::default().max_depth);
        let error = serde_json::from_str::<Limits>(r#"{"max-step":1}"#).expect_err("unknown key");
        assert!(error.to_string().contains("max-steps"), "{error}");
    }
}
