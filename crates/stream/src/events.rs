//! What can be observed of the runtime.

use std::time::Duration;

use prunella_model::Route;
use prunella_telemetry::{Event, metrics};
use rdkafka::error::KafkaError;

use crate::chaos::Point;
use crate::error::StreamError;
use crate::record::{Record, TopicPartition};
use crate::stage::StageError;
use crate::transaction::Failure;

pub(crate) struct ClientError<'a> {
    pub(crate) client: &'a str,
    pub(crate) error: &'a KafkaError,
    pub(crate) reason: &'a str,
}

impl Event for ClientError<'_> {
    fn emit(self) {
        tracing::warn!(client = self.client, error = %self.error, reason = self.reason, "kafka client");
    }
}

pub(crate) struct RecordsProduced<'a> {
    pub(crate) client: &'a str,
    pub(crate) records: usize,
}

impl Event for RecordsProduced<'_> {
    fn emit(self) {
        metrics::PRODUCED.with_label_values(&[self.client]).inc_by(self.records as u64);
    }
}

pub(crate) struct PartitionsAssigned<'a> {
    pub(crate) stage: &'a str,
    pub(crate) partitions: &'a [TopicPartition],
    pub(crate) owned: usize,
}

impl Event for PartitionsAssigned<'_> {
    fn emit(self) {
        metrics::REBALANCES.with_label_values(&[self.stage, "assigned"]).inc();
        metrics::ASSIGNED.with_label_values(&[self.stage]).set(self.owned as i64);
        tracing::info!(
            stage = self.stage,
            partitions = self.partitions.len(),
            owned = self.owned,
            "partitions assigned"
        );
    }
}

pub(crate) struct PartitionsRevoked<'a> {
    pub(crate) stage: &'a str,
    pub(crate) partitions: &'a [TopicPartition],
    pub(crate) owned: usize,
    pub(crate) lost: bool,
    pub(crate) undone: usize,
}

impl Event for PartitionsRevoked<'_> {
    fn emit(self) {
        metrics::REBALANCES.with_label_values(&[self.stage, if self.lost { "lost" } else { "revoked" }]).inc();
        metrics::ASSIGNED.with_label_values(&[self.stage]).set(self.owned as i64);
        tracing::info!(
            stage = self.stage,
            partitions = self.partitions.len(),
            owned = self.owned,
            lost = self.lost,
            undone = self.undone,
            "partitions revoked; undone records are taken again by the next owner"
        );
    }
}

pub(crate) struct CommitDone<'a> {
    pub(crate) stage: &'a str,
    pub(crate) error: Option<&'a KafkaError>,
}

impl Event for CommitDone<'_> {
    fn emit(self) {
        let result = if self.error.is_some() { "failed" } else { "ok" };
        metrics::COMMITS.with_label_values(&[self.stage, result]).inc();
        if let Some(error) = self.error {
            tracing::warn!(stage = self.stage, %error, "offsets not committed; they are offered again");
        }
    }
}

pub(crate) struct TransactionReached<'a> {
    pub(crate) stage: &'a str,
    /// How far it has come.
    pub(crate) step: Point,
}

impl Event for TransactionReached<'_> {
    fn emit(self) {
        tracing::trace!(stage = self.stage, step = self.step.as_str(), "transaction");
    }
}

pub(crate) struct TransactionEnded<'a> {
    pub(crate) stage: &'a str,
    pub(crate) records: usize,
    pub(crate) took: Duration,
    pub(crate) failure: Option<&'a Failure>,
}

impl Event for TransactionEnded<'_> {
    fn emit(self) {
        let result = if self.failure.is_some() { "failed" } else { "ok" };
        metrics::TRANSACTIONS.with_label_values(&[self.stage, result]).inc();
        metrics::TRANSACTION_SECONDS.with_label_values(&[self.stage]).observe(self.took.as_secs_f64());
        metrics::PRODUCED.with_label_values(&[self.stage]).inc_by(self.records as u64);
        if let Some(failure) = self.failure {
            tracing::warn!(stage = self.stage, %failure, "transaction failed; producer and state are built anew");
        }
    }
}

pub(crate) struct Load<'a> {
    pub(crate) stage: &'a str,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) paused: usize,
}

impl Event for Load<'_> {
    fn emit(self) {
        metrics::IN_FLIGHT.with_label_values(&[self.stage]).set(self.records as i64);
        metrics::IN_FLIGHT_BYTES.with_label_values(&[self.stage]).set(self.bytes as i64);
        metrics::PAUSED.with_label_values(&[self.stage]).set(self.paused as i64);
    }
}

pub(crate) struct Lag<'a> {
    pub(crate) stage: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) records: i64,
}

impl Event for Lag<'_> {
    fn emit(self) {
        metrics::LAG.with_label_values(&[self.stage, self.topic]).set(self.records);
    }
}

pub(crate) struct RecordDone<'a> {
    pub(crate) stage: &'a str,
    pub(crate) record: &'a Record,
    pub(crate) took: Duration,
}

impl Event for RecordDone<'_> {
    fn emit(self) {
        metrics::RECORDS.with_label_values(&[self.stage, &self.record.source.topic]).inc();
        metrics::RECORD_SECONDS.with_label_values(&[self.stage]).observe(self.took.as_secs_f64());
    }
}

pub(crate) struct RecordFailed<'a> {
    pub(crate) stage: &'a str,
    pub(crate) record: &'a Record,
    pub(crate) error: &'a StageError,
    pub(crate) route: Route,
    pub(crate) attempt: u32,
}

impl Event for RecordFailed<'_> {
    fn emit(self) {
        let route = match self.route {
            Route::Retry => "retry",
            Route::Wait => "wait",
            Route::DeadLetter => "dead-letter",
            Route::Fatal => "fatal",
        };
        metrics::RECORD_ERRORS.with_label_values(&[self.stage, self.error.code.id(), route]).inc();
        if self.route == Route::DeadLetter {
            metrics::DEAD_LETTERS.with_label_values(&[self.stage, self.error.code.id()]).inc();
        }
        tracing::warn!(
            stage = self.stage,
            record = %self.record.place(),
            code = self.error.code.id(),
            route,
            attempt = self.attempt,
            error = %self.error.message,
            "record failed"
        );
    }
}

pub(crate) struct Restored<'a> {
    pub(crate) stage: &'a str,
    pub(crate) partition: i32,
    pub(crate) records: u64,
    pub(crate) took: Duration,
}

impl Event for Restored<'_> {
    fn emit(self) {
        metrics::RESTORE_RECORDS.with_label_values(&[self.stage]).inc_by(self.records);
        metrics::RESTORE_SECONDS.with_label_values(&[self.stage]).observe(self.took.as_secs_f64());
        tracing::debug!(
            stage = self.stage,
            partition = self.partition,
            records = self.records,
            milliseconds = self.took.as_millis() as u64,
            "state restored"
        );
    }
}

pub(crate) struct UnreadableState<'a> {
    pub(crate) stage: &'a str,
    pub(crate) place: String,
    pub(crate) error: &'a StreamError,
}

impl Event for UnreadableState<'_> {
    fn emit(self) {
        metrics::BAD_STATE.inc();
        tracing::error!(stage = self.stage, place = %self.place, error = %self.error, code = self.error.code().id(), "state record left alone");
    }
}

pub(crate) struct StageRestarted<'a> {
    pub(crate) stage: &'a str,
    pub(crate) error: &'a StreamError,
    pub(crate) wait: Duration,
}

impl Event for StageRestarted<'_> {
    fn emit(self) {
        metrics::STAGE_RESTARTS.with_label_values(&[self.stage]).inc();
        tracing::error!(
            stage = self.stage,
            code = self.error.code().id(),
            error = %self.error,
            wait_milliseconds = self.wait.as_millis() as u64,
            "stage failed and is built anew"
        );
    }
}
