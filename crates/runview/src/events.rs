//! What can be observed of the view.

use std::path::Path;

use prunella_telemetry::{Event, metrics};

pub(crate) struct ViewOpened<'a> {
    pub(crate) path: &'a Path,
    /// Why the old view was thrown away.
    pub(crate) rebuilt: Option<&'a str>,
}

impl Event for ViewOpened<'_> {
    fn emit(self) {
        let path = self.path.display();
        match self.rebuilt {
            None => tracing::info!(%path, "run view opened"),
            Some(reason) => {
                metrics::RUNVIEW_REBUILDS.inc();
                tracing::warn!(%path, reason, "run view is rebuilt from its topics");
            }
        }
    }
}

pub(crate) struct ChunkApplied {
    pub(crate) records: usize,
}

impl Event for ChunkApplied {
    fn emit(self) {
        metrics::RUNVIEW_RECORDS.inc_by(self.records as u64);
    }
}

pub(crate) struct LagSeen {
    pub(crate) records: i64,
}

impl Event for LagSeen {
    fn emit(self) {
        metrics::RUNVIEW_LAG.set(self.records);
    }
}

pub(crate) struct RecordSkipped<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) reason: &'a str,
}

impl Event for RecordSkipped<'_> {
    fn emit(self) {
        metrics::BAD_STATE.inc();
        let place = format!("{}[{}]@{}", self.topic, self.partition, self.offset);
        let code = prunella_model::Code::StateUnreadable.id();
        tracing::error!(place, code, reason = self.reason, "a record is not in the run view: it cannot be read");
    }
}

pub(crate) struct FeedInterrupted<'a> {
    pub(crate) reason: &'a str,
}

impl Event for FeedInterrupted<'_> {
    fn emit(self) {
        tracing::warn!(reason = self.reason, "run view is not fed; trying again");
    }
}

pub(crate) struct ViewCaughtUp {
    pub(crate) partitions: usize,
}

impl Event for ViewCaughtUp {
    fn emit(self) {
        tracing::info!(partitions = self.partitions, "run view has caught up");
    }
}
