use prunella_model::ByteSize;

/// How large a workflow may be. Exceeding one is the error `PRN-0109`, never a truncation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest workflow, mapping or schema file.
    pub max_file: ByteSize,
    /// Most values in one file, those repeated through YAML aliases counted each time.
    pub max_values: usize,
    /// Deepest nesting of one file.
    pub max_depth: usize,
    /// Most steps of one workflow.
    pub max_steps: usize,
    /// Largest definition with its mappings and schemas inside. It must fit into one Kafka record.
    pub max_definition: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file: ByteSize::from_mib(1),
            max_values: 100_000,
            max_depth: 64,
            max_steps: 200,
            max_definition: ByteSize::from_kib(768),
        }
    }
}
