//! What can be observed of healing.

use prunella_model::{Code, MappingKey};
use prunella_stream::StageError;
use prunella_telemetry::{Event, metrics};
use prunella_vault::VaultError;
use prunella_wire::records::MappingDrift;

pub(crate) struct AttemptEnded<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) verdict: &'a str,
    pub(crate) parent: i32,
}

impl Event for AttemptEnded<'_> {
    fn emit(self) {
        metrics::HEAL_ATTEMPTS.with_label_values(&[self.verdict]).inc();
        tracing::info!(mapping = %self.mapping, verdict = self.verdict, parent = self.parent, "healing was attempted");
    }
}

pub(crate) struct AttemptFailed<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) error: &'a StageError,
}

impl Event for AttemptFailed<'_> {
    fn emit(self) {
        metrics::HEAL_ATTEMPTS.with_label_values(&["failed"]).inc();
        tracing::error!(
            mapping = %self.mapping, code = self.error.code.id(), error = %self.error.message,
            "healing could not be attempted; it is tried again"
        );
    }
}

pub(crate) struct ModelMissing<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) model: &'a str,
}

impl Event for ModelMissing<'_> {
    fn emit(self) {
        tracing::warn!(
            mapping = %self.mapping, model = self.model, code = Code::LlmNotConfigured.id(),
            "the step names a language model, and the configuration of this healer has none: nobody is asked"
        );
    }
}

pub(crate) struct VersionActivated<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) version: i32,
    pub(crate) actor: &'a str,
    pub(crate) waiting: usize,
}

impl Event for VersionActivated<'_> {
    fn emit(self) {
        metrics::MAPPINGS_ACTIVATED
            .with_label_values(&[self.mapping.workspace.as_str(), self.mapping.workflow.as_str()])
            .inc();
        tracing::warn!(
            mapping = %self.mapping, version = self.version, actor = self.actor, batches_waiting = self.waiting,
            "another version of a mapping is used"
        );
    }
}

pub(crate) struct Locked<'a> {
    pub(crate) home: i32,
    pub(crate) records: usize,
    pub(crate) error: &'a VaultError,
}

impl Event for Locked<'_> {
    fn emit(self) {
        metrics::BAD_STATE.inc_by(self.records as u64);
        tracing::error!(
            home = self.home, records = self.records, code = self.error.code().id(), error = %self.error,
            "a part of the state of healing cannot be opened; nothing is healed here until it can"
        );
    }
}

pub(crate) struct RolledBack<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) version: i32,
    pub(crate) to: i32,
    pub(crate) reason: &'a str,
}

impl Event for RolledBack<'_> {
    fn emit(self) {
        metrics::MAPPINGS_ROLLED_BACK
            .with_label_values(&[self.mapping.workspace.as_str(), self.mapping.workflow.as_str()])
            .inc();
        tracing::warn!(
            mapping = %self.mapping, version = self.version, to = self.to, reason = self.reason,
            "a version of a mapping was rolled back: its outputs cannot be what was meant"
        );
    }
}

pub(crate) struct DriftNoticed<'a> {
    pub(crate) drift: &'a MappingDrift,
}

impl Event for DriftNoticed<'_> {
    fn emit(self) {
        let MappingDrift { mapping, version, found, .. } = self.drift;
        metrics::SILENT_DRIFTS.with_label_values(&[mapping.workspace.as_str(), mapping.workflow.as_str()]).inc();
        tracing::warn!(
            %mapping, version, code = Code::SilentDrift.id(), found = found.join("; "),
            "outputs of a mapping are valid and do not look as they used to: prunella mappings show, edit or accept"
        );
    }
}

pub(crate) struct DriftPassed<'a> {
    pub(crate) drift: &'a MappingDrift,
}

impl Event for DriftPassed<'_> {
    fn emit(self) {
        let MappingDrift { mapping, version, .. } = self.drift;
        tracing::info!(%mapping, version, "outputs of a mapping look as they used to again");
    }
}

pub(crate) struct Proposed<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) version: i32,
}

impl Event for Proposed<'_> {
    fn emit(self) {
        tracing::warn!(
            mapping = %self.mapping, version = self.version,
            "a repaired mapping waits for approval: prunella mappings show, approve or reject"
        );
    }
}

pub(crate) struct BatchDriven<'a> {
    pub(crate) mapping: &'a MappingKey,
    pub(crate) healed: i32,
    pub(crate) given_up: bool,
}

impl Event for BatchDriven<'_> {
    fn emit(self) {
        let labels = [self.mapping.workspace.as_str(), self.mapping.workflow.as_str()];
        metrics::ITEMS_HEALED.with_label_values(&labels).inc_by(u64::try_from(self.healed).unwrap_or(0));
        tracing::debug!(mapping = %self.mapping, healed = self.healed, given_up = self.given_up, "parked batch driven");
    }
}
