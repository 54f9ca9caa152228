use std::path::PathBuf;

use rdkafka::error::KafkaError;

pub(crate) type Result<T> = std::result::Result<T, BenchError>;

/// Why a benchmark could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("process {what}: {source}")]
    Process { what: String, source: std::io::Error },
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("control record: {0}")]
    Wire(#[from] prunella_wire::WireError),
    #[error("the mapping or the schema of the benchmark: {0}")]
    Work(String),
    #[error("not within {seconds} s: {what}")]
    TooSlow { what: String, seconds: u64 },
    #[error("the product did something wrong: {0}")]
    Wrong(String),
    #[error("the histogram: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

impl BenchError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { path: path.into(), source }
    }

    pub(crate) fn process(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Process { what: what.into(), source }
    }
}
