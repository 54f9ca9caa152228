//! The stage of one stream.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::watch;

use prunella_model::stream::OnInvalidRecord;
use prunella_model::{Code, Route, WorkflowRef};
use prunella_platform::Refusal;
use prunella_stream::homes::now_millis;
use prunella_stream::{DeadLetter, OutRecord, Outcome, Record, Stage, StageError, Workbench};
use prunella_telemetry::{emit, metrics};
use prunella_wire::{ValueSchemas, names};

use crate::events::{PartitionReleased, RecordRefused};
use crate::headers::output_headers;
use crate::work::{Mapped, Work};

/// Records from this size on are worked on where they hold up nothing else; below, going there would cost more.
const LARGE: usize = 64 * 1024;
/// A held record is tried again this often, besides at every new version.
const HOLD: Duration = Duration::from_secs(10);

/// A version of a stream that is at work.
pub(crate) struct Version {
    pub(crate) at: WorkflowRef,
    /// `at`, as it stands in headers.
    pub(crate) name: Bytes,
    pub(crate) output_topic: Arc<str>,
    pub(crate) work: Work,
}

impl Version {
    pub(crate) fn holds(&self) -> bool {
        self.work.plan().stream().on_invalid == OnInvalidRecord::Hold
    }
}

/// What stays the same while versions replace each other.
pub(crate) struct StreamStage {
    pub(crate) stage: String,
    pub(crate) group: String,
    pub(crate) dead_letters: Arc<str>,
    pub(crate) schemas: Arc<ValueSchemas>,
    workbench: Workbench,
    version: watch::Receiver<Arc<Version>>,
    /// Records go by partition and not by key: one that is held stops its partition and nothing else.
    by_partition: bool,
    /// By partition: the offset that is held, and the version that could not take it.
    held: Mutex<HashMap<i32, (i64, WorkflowRef)>>,
    valid: IntCounter,
    held_partitions: IntGauge,
}

/// Counts a partition as held for as long as it lives.
struct Held<'a>(&'a IntGauge);

impl<'a> Held<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl StreamStage {
    pub(crate) fn new(
        stage: String,
        group: String,
        dead_letters: Arc<str>,
        schemas: Arc<ValueSchemas>,
        workbench: Workbench,
        version: watch::Receiver<Arc<Version>>,
    ) -> Self {
        let (labels, by_partition) = {
            let version = version.borrow();
            ([version.at.workspace.to_string(), version.at.workflow.to_string()], version.holds())
        };
        Self {
            stage,
            group,
            dead_letters,
            schemas,
            workbench,
            version,
            by_partition,
            held: Mutex::default(),
            valid: metrics::ITEMS_VALID.with_label_values(&labels),
            held_partitions: metrics::STREAM_HELD.with_label_values(&labels),
        }
    }

    /// The version to use for `record`: the live one, and for a held record preferably one that has not failed on it yet.
    async fn version_for(&self, record: &Record) -> Arc<Version> {
        let version = self.version.borrow().clone();
        if !self.by_partition || self.held_by(record).as_ref() != Some(&version.at) {
            return version;
        }
        let _held = Held::new(&self.held_partitions);
        let mut changes = self.version.clone();
        // Whether a version came or the time is up or there will be none any more: the record is tried again.
        let newer = changes.wait_for(|live| live.at != version.at);
        let _ = tokio::time::timeout(HOLD, newer).await;
        self.version.borrow().clone()
    }

    fn held_by(&self, record: &Record) -> Option<WorkflowRef> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&record.source.partition).filter(|(offset, _)| *offset == record.offset).map(|(_, at)| at.clone())
    }

    fn hold(&self, version: &Version, record: &Record, refusal: &Refusal) -> StageError {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(record.source.partition, (record.offset, version.at.clone()));
        drop(held);
        let message =
            format!("{} holds {} at this record: {}: {}", version.at, record.source, refusal.code, refusal.message);
        // The wait is in `version_for`, which hears of new versions.
        let error = StageError::new(Code::StreamHeld, message);
        StageError { retry_after: Some(Duration::ZERO), ..error }
    }

    fn release(&self, version: &Version, record: &Record) {
        if self.by_partition && self.held_by(record).is_some() {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&record.source.partition);
            emit(PartitionReleased { at: &version.at, record });
        }
    }

    fn refused(&self, version: &Version, record: &Record, refusal: &Refusal) -> Result<Outcome, StageError> {
        if version.holds() {
            return Err(self.hold(version, record, refusal));
        }
        // What may succeed in a moment is repeated by the runtime, and dead-lettered by it in the end.
        if refusal.code.route() != Route::DeadLetter {
            let error = StageError::new(refusal.code, refusal.message.clone());
            return Err(error.dead_letter_to(self.dead_letters.clone()));
        }
        self.release(version, record);
        emit(RecordRefused { stage: &self.stage, at: &version.at, record, refusal });
        Ok(Outcome::of(vec![self.dead_letter(version, record, refusal)]))
    }

    fn dead_letter(&self, version: &Version, record: &Record, refusal: &Refusal) -> OutRecord {
        let (code, now) = (refusal.code, now_millis());
        let mut letter = DeadLetter::new(record, &self.stage, &self.group, code, &refusal.message, now)
            .with(names::STREAM, version.name.clone());
        if !refusal.fields.is_empty() {
            letter = letter.with(names::DEAD_FIELDS, serde_json::to_vec(&refusal.fields).unwrap_or_default());
            if let Some(mapped) = version.work.mapped_text(record)
                && mapped.len() as u64 <= version.work.max_header_bytes().bytes()
            {
                letter = letter.with(names::DEAD_OUTPUT, mapped);
            }
        }
        letter.of_record(self.dead_letters.clone(), record)
    }

    fn output(&self, version: &Version, record: &Record, mapped: Mapped) -> OutRecord {
        let content_type = version.work.content_type().filter(|_| mapped.value.is_some());
        OutRecord {
            topic: version.output_topic.clone(),
            partition: None,
            key: mapped.key,
            value: mapped.value,
            headers: output_headers(record, &version.name, content_type),
        }
    }
}

impl Stage for StreamStage {
    fn lane(&self, record: &Record) -> u64 {
        if self.by_partition {
            return u64::from(record.source.partition.unsigned_abs());
        }
        let mut hasher = DefaultHasher::new();
        match &record.key {
            Some(key) => key.hash(&mut hasher),
            None => record.source.partition.hash(&mut hasher),
        }
        hasher.finish()
    }

    async fn process(&self, record: &Record) -> Result<Outcome, StageError> {
        let version = self.version_for(record).await;
        if let Some(id) = version.work.unknown_schema(record)
            && let Err(error) = self.schemas.reader(id).await
        {
            let error = StageError::from(error);
            // A registry that does not answer is waited for, whatever the stream does with invalid records.
            if error.route() == Route::Wait {
                return Err(error);
            }
            return self.refused(&version, record, &Refusal::new(error.code, error.message));
        }
        let mapped = if record.size() < LARGE {
            version.work.run(record)
        } else {
            let (version, record) = (version.clone(), record.clone());
            self.workbench.run(move || version.work.run(&record)).await
        };
        match mapped {
            Ok(mapped) => {
                self.release(&version, record);
                self.valid.inc();
                Ok(Outcome::of(vec![self.output(&version, record, mapped)]))
            }
            Err(refusal) => self.refused(&version, record, &refusal),
        }
    }

    async fn given_up(&self, _: &Record, _: &StageError) -> Vec<OutRecord> {
        Vec::new()
    }
}
