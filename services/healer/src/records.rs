//! What a home of mappings writes.

use std::sync::Arc;

use prunella_model::{MappingKey, WorkspaceName};
use prunella_platform::Platform;
use prunella_stream::{OutRecord, StageError};
use prunella_wire::ControlRecord;
use prunella_wire::records::ParkedBatch;
use prunella_wire::records::{AuditEvent, BatchResult, HealOutcome, MappingActive, MappingSample, MappingVersion};

/// Writes records of one home partition.
#[derive(Clone)]
pub(crate) struct RecordWriter {
    platform: Platform,
    home: i32,
    stage_heal: Arc<str>,
    stage_progress: Arc<str>,
    state_mappings: Arc<str>,
    state_samples: Arc<str>,
    state_parked: Arc<str>,
    log_audit: Arc<str>,
}

impl RecordWriter {
    pub(crate) fn new(platform: Platform, home: i32) -> Self {
        let topics = &platform.topics;
        Self {
            home,
            stage_heal: topics.stage_heal().into(),
            stage_progress: topics.stage_progress().into(),
            state_mappings: topics.state_mappings().into(),
            state_samples: topics.state_samples().into(),
            state_parked: topics.state_parked().into(),
            log_audit: topics.log_audit().into(),
            platform,
        }
    }

    pub(crate) fn version(&self, version: &MappingVersion) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, version.key(), version)
    }

    pub(crate) fn active(&self, active: &MappingActive) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, active.key(), active)
    }

    pub(crate) fn sample(&self, sample: &MappingSample) -> Result<OutRecord, StageError> {
        self.state(&self.state_samples, sample.key(), sample)
    }

    pub(crate) fn parked(&self, key: &str, parked: &ParkedBatch) -> Result<OutRecord, StageError> {
        self.state(&self.state_parked, key.to_owned(), parked)
    }

    pub(crate) fn unparked(&self, key: &str) -> OutRecord {
        OutRecord::tombstone(self.state_parked.clone(), key.to_owned()).to_partition(self.home)
    }

    pub(crate) fn outcome(&self, outcome: &HealOutcome) -> Result<OutRecord, StageError> {
        self.state(&self.stage_heal, outcome.mapping.to_string(), outcome)
    }

    /// What the run is told; it goes to the run's home by its key.
    pub(crate) fn result(&self, result: &BatchResult) -> Result<OutRecord, StageError> {
        self.encoded(&self.stage_progress, result.at.run.to_string(), result)
    }

    pub(crate) fn audit(
        &self,
        (actor, action, detail): (&str, &str, String),
        mapping: &MappingKey,
        version: i32,
        now: i64,
    ) -> Result<OutRecord, StageError> {
        let workspace: WorkspaceName = mapping.workspace.clone();
        let (actor, action, subject) = (actor.to_owned(), action.to_owned(), format!("{mapping}@{version}"));
        let event = AuditEvent { at: now, actor, action, workspace, subject, detail };
        self.encoded(&self.log_audit, event.actor.clone(), &event)
    }

    /// State goes to the partition of its home whatever its key.
    fn state<T: ControlRecord>(&self, topic: &Arc<str>, key: String, record: &T) -> Result<OutRecord, StageError> {
        Ok(self.encoded(topic, key, record)?.to_partition(self.home))
    }

    fn encoded<T: ControlRecord>(&self, topic: &Arc<str>, key: String, record: &T) -> Result<OutRecord, StageError> {
        Ok(OutRecord::new(topic.clone(), key, self.platform.codec.encode(topic, record)?))
    }
}
