use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use prunella_model::{Code, Route};

use crate::record::{OutRecord, Record};

/// What a record came to. The runtime writes the records and then moves the record's offset.
#[derive(Debug, Default)]
pub struct Outcome {
    pub records: Vec<OutRecord>,
}

impl Outcome {
    pub fn nothing() -> Self {
        Self::default()
    }

    pub fn of(records: Vec<OutRecord>) -> Self {
        Self { records }
    }
}

/// Why a record could not be processed. The code decides the route.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct StageError {
    pub code: Code,
    pub message: String,
    /// How long the other side asked us to wait.
    pub retry_after: Option<Duration>,
    /// Dead-letter topic of the workflow, when the record could be attributed to one.
    pub dead_letter_topic: Option<Arc<str>>,
}

impl StageError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None, dead_letter_topic: None }
    }

    #[must_use]
    pub fn dead_letter_to(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.dead_letter_topic = Some(topic.into());
        self
    }

    pub fn route(&self) -> Route {
        self.code.route()
    }
}

impl From<prunella_wire::WireError> for StageError {
    fn from(error: prunella_wire::WireError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Runs `work`; a panic becomes an error of the record that it was for, so that one record cannot end a stage.
pub(crate) async fn without_panic<T>(work: impl Future<Output = Result<T, StageError>>) -> Result<T, StageError> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(StageError::new(Code::StagePanicked, format!("the stage panicked: {text}")))
    })
}

/// A lane per key; records without key share that of their partition.
fn key_lane(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &record.key {
        Some(key) => key.hash(&mut hasher),
        None => record.source.hash(&mut hasher),
    }
    hasher.finish()
}

/// A stage without state: what it does with a record depends on the record alone. It knows nothing
/// of offsets, commits or topics' partitions.
pub trait Stage: Send + Sync + 'static {
    /// Records of one lane are processed one after another, in order; lanes side by side, as far as there are shards.
    fn lane(&self, record: &Record) -> u64 {
        key_lane(record)
    }

    fn process(&self, record: &Record) -> impl Future<Output = Result<Outcome, StageError>> + Send;

    /// What to write instead when a record is given up (retries used up, or not processable at all),
    /// beside its dead letter: the result that tells the run about it, if the record names a run.
    fn given_up(&self, record: &Record, error: &StageError) -> impl Future<Output = Vec<OutRecord>> + Send;
}
