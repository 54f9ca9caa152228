//! What can be observed of extractions.

use std::time::Duration;

use prunella_sources::Moved;
use prunella_telemetry::{Event, metrics};
use prunella_wire::records::{ErrorInfo, StepRef};

pub(crate) struct PageFetched<'a> {
    pub(crate) at: &'a StepRef,
    pub(crate) items: usize,
    pub(crate) took: Duration,
}

impl Event for PageFetched<'_> {
    fn emit(self) {
        let (workspace, workflow) = (self.at.workspace.as_str(), self.at.workflow.as_str());
        metrics::SOURCE_REQUESTS.with_label_values(&[workspace, workflow, "ok"]).inc();
        metrics::SOURCE_SECONDS.with_label_values(&[workspace, workflow]).observe(self.took.as_secs_f64());
        metrics::ITEMS_EXTRACTED.with_label_values(&[workspace, workflow]).inc_by(self.items as u64);
        tracing::debug!(
            workspace, workflow, run = %self.at.run, step = %self.at.step, items = self.items,
            milliseconds = self.took.as_millis() as u64, "page fetched"
        );
    }
}

pub(crate) struct ExtractionFailed<'a> {
    pub(crate) at: &'a StepRef,
    pub(crate) error: &'a ErrorInfo,
    pub(crate) put_off: bool,
}

impl Event for ExtractionFailed<'_> {
    fn emit(self) {
        let (workspace, workflow) = (self.at.workspace.as_str(), self.at.workflow.as_str());
        let outcome = if self.put_off { "put-off" } else { "failed" };
        metrics::SOURCE_REQUESTS.with_label_values(&[workspace, workflow, outcome]).inc();
        tracing::warn!(
            workspace, workflow, run = %self.at.run, step = %self.at.step, outcome,
            code = %self.error.code, error = %self.error.message, "extraction stopped"
        );
    }
}

pub(crate) struct ItemsMoved<'a> {
    pub(crate) at: &'a StepRef,
    pub(crate) moved: &'a Moved,
    pub(crate) error: &'a ErrorInfo,
}

impl Event for ItemsMoved<'_> {
    fn emit(self) {
        let (workspace, workflow) = (self.at.workspace.as_str(), self.at.workflow.as_str());
        metrics::SOURCES_MOVED.with_label_values(&[workspace, workflow]).inc();
        let lists: Vec<&str> = self.moved.lists.iter().map(|list| list.path.as_str()).collect();
        tracing::warn!(
            workspace, workflow, run = %self.at.run, step = %self.at.step, code = %self.error.code,
            path = self.moved.path.as_str(), lists = lists.join(", "), "the items of an answer are not where they were"
        );
    }
}

pub(crate) struct ExtractionResumed<'a> {
    pub(crate) at: &'a StepRef,
    pub(crate) next_batch: i64,
}

impl Event for ExtractionResumed<'_> {
    fn emit(self) {
        tracing::info!(
            workspace = %self.at.workspace, workflow = %self.at.workflow, run = %self.at.run, step = %self.at.step,
            next_batch = self.next_batch, "extraction goes on where it was"
        );
    }
}
