//! What can be observed of streams.

use std::time::Duration;

use prunella_model::Code;
use prunella_model::WorkflowRef;
use prunella_stream::Record;
use prunella_telemetry::{Event, metrics};

use prunella_platform::Refusal;

pub(crate) struct StreamStarted<'a> {
    pub(crate) at: &'a WorkflowRef,
    pub(crate) group: &'a str,
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
}

impl Event for StreamStarted<'_> {
    fn emit(self) {
        tracing::info!(stream = %self.at, group = self.group, input = self.input, output = self.output, "stream started");
    }
}

/// A later version took over without the group noticing.
pub(crate) struct StreamReplaced<'a> {
    pub(crate) at: &'a WorkflowRef,
}

impl Event for StreamReplaced<'_> {
    fn emit(self) {
        tracing::info!(stream = %self.at, "stream goes on with this version");
    }
}

pub(crate) struct StreamStopped<'a> {
    pub(crate) at: &'a WorkflowRef,
    pub(crate) reason: &'static str,
}

impl Event for StreamStopped<'_> {
    fn emit(self) {
        tracing::info!(stream = %self.at, reason = self.reason, "stream stopped; it goes on at the offsets of its group");
    }
}

/// The live version cannot be run, for now (with a wait) or by this process.
pub(crate) struct StreamUnusable<'a> {
    pub(crate) at: &'a WorkflowRef,
    pub(crate) code: Code,
    pub(crate) reason: &'a str,
    pub(crate) wait: Option<Duration>,
}

impl Event for StreamUnusable<'_> {
    fn emit(self) {
        metrics::STREAMS_UNUSABLE
            .with_label_values(&[self.at.workspace.as_str(), self.at.workflow.as_str(), self.code.id()])
            .inc();
        tracing::error!(
            stream = %self.at,
            code = self.code.id(),
            reason = self.reason,
            retry_milliseconds = self.wait.map(|wait| wait.as_millis() as u64),
            "stream cannot run"
        );
    }
}

pub(crate) struct RecordRefused<'a> {
    pub(crate) stage: &'a str,
    pub(crate) at: &'a WorkflowRef,
    pub(crate) record: &'a Record,
    pub(crate) refusal: &'a Refusal,
}

impl Event for RecordRefused<'_> {
    fn emit(self) {
        let code = self.refusal.code.id();
        let (workspace, stream) = (self.at.workspace.as_str(), self.at.workflow.as_str());
        metrics::DEAD_LETTERS.with_label_values(&[self.stage, code]).inc();
        metrics::ITEMS_INVALID.with_label_values(&[workspace, stream, code]).inc();
        tracing::debug!(
            stream = %self.at, record = %self.record.place(), code, error = %self.refusal.message, "record dead-lettered"
        );
    }
}

/// A held partition flows again.
pub(crate) struct PartitionReleased<'a> {
    pub(crate) at: &'a WorkflowRef,
    pub(crate) record: &'a Record,
}

impl Event for PartitionReleased<'_> {
    fn emit(self) {
        tracing::info!(stream = %self.at, record = %self.record.place(), "held record taken, the partition flows again");
    }
}
