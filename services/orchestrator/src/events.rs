//! What can be observed of runs.

use std::collections::HashSet;
use std::sync::Arc;

use prunella_model::Code;
use prunella_telemetry::{Event, metrics};
use prunella_wire::WireError;
use prunella_wire::records::{RunState, RunStatus};

use crate::machine::Stale;

pub(crate) struct RunStarted<'a> {
    pub(crate) run: &'a RunState,
}

impl Event for RunStarted<'_> {
    fn emit(self) {
        let run = self.run;
        metrics::RUNS_STARTED.with_label_values(&[run.workspace.as_str(), run.workflow.as_str()]).inc();
        tracing::debug!(workspace = %run.workspace, workflow = %run.workflow, run = %run.run, version = run.version.0, "run started");
    }
}

pub(crate) struct RunEnded<'a> {
    pub(crate) run: &'a RunState,
    pub(crate) now: i64,
}

impl Event for RunEnded<'_> {
    fn emit(self) {
        let run = self.run;
        let (workspace, workflow, status) = (run.workspace.as_str(), run.workflow.as_str(), run.status.as_str());
        let took = (self.now - run.created_at).max(0);
        metrics::RUNS_ENDED.with_label_values(&[workspace, workflow, status]).inc();
        metrics::RUN_SECONDS.with_label_values(&[workspace, workflow]).observe(took as f64 / 1000.0);
        let (code, error) = run.error.as_ref().map_or(("", ""), |error| (&error.code, &error.message));
        if run.status == RunStatus::Succeeded {
            tracing::debug!(
                workspace, workflow, run = %run.run, status, milliseconds = took,
                extracted = run.extracted, valid = run.valid, dead_lettered = run.dead_lettered, "run ended"
            );
        } else {
            tracing::warn!(
                workspace, workflow, run = %run.run, status, milliseconds = took, code, error,
                extracted = run.extracted, valid = run.valid, dead_lettered = run.dead_lettered, "run ended"
            );
        }
    }
}

pub(crate) struct StaleResult<'a> {
    pub(crate) run: &'a str,
    pub(crate) why: Stale,
}

impl Event for StaleResult<'_> {
    fn emit(self) {
        metrics::STALE.with_label_values(&[self.why.as_str()]).inc();
        tracing::debug!(run = self.run, why = self.why.as_str(), "stale result ignored");
    }
}

pub(crate) struct TriggersHeldBack<'a> {
    pub(crate) topics: &'a HashSet<Arc<str>>,
    /// Nobody was told lately: under constant load triggers are held back and let go every few seconds.
    pub(crate) is_news: bool,
    pub(crate) held: usize,
    pub(crate) limit: usize,
}

impl Event for TriggersHeldBack<'_> {
    fn emit(self) {
        metrics::TRIGGERS_HELD_BACK.set(i64::try_from(self.topics.len()).unwrap_or(i64::MAX));
        let (bytes, limit) = (self.held, self.limit);
        if self.topics.is_empty() {
            tracing::debug!(bytes, limit, "live runs have memory enough again: all triggers are read");
        } else if self.is_news {
            tracing::warn!(
                code = Code::RunMemoryFull.id(), bytes, limit, topics = ?self.topics,
                "live runs take as much memory as they may (runs.memory): triggers stay in their topics"
            );
        }
    }
}

pub(crate) struct DefinitionUnusable<'a> {
    pub(crate) workflow: String,
    pub(crate) reason: &'a str,
}

impl Event for DefinitionUnusable<'_> {
    fn emit(self) {
        tracing::error!(
            workflow = %self.workflow,
            code = Code::WorkflowUnknown.id(),
            reason = self.reason,
            "this release cannot execute a stored definition; its runs wait until their deadline"
        );
    }
}

pub(crate) struct UnreadableRun<'a> {
    pub(crate) run: &'a str,
    /// What follows the run in the key of the record.
    pub(crate) suffix: &'a str,
    pub(crate) error: &'a WireError,
}

impl Event for UnreadableRun<'_> {
    fn emit(self) {
        metrics::BAD_STATE.inc();
        tracing::error!(run = self.run, record = self.suffix, error = %self.error, "state record left alone");
    }
}
