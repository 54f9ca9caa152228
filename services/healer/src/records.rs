//! What a home of mappings writes.

use std::sync::Arc;

use bytes::Bytes;

use prunella_model::{MappingKey, WorkspaceName};
use prunella_platform::Platform;
use prunella_stream::{OutRecord, StageError};
use prunella_vault::Place;
use prunella_wire::ControlRecord;
use prunella_wire::records::ParkedBatch;
use prunella_wire::records::{
    AuditEvent, BatchResult, HealOutcome, LlmCall, MappingActive, MappingConsultation, MappingDecisions, MappingDrift,
    MappingProfile, MappingSample, MappingVersion, ModelAnswer,
};

/// Names of the topics, as values that stand there are sealed for them.
pub(crate) const SAMPLES_STORE: &str = "state.samples";
pub(crate) const PARKED_STORE: &str = "state.parked";

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
    log_llm: Arc<str>,
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
            log_llm: topics.log_llm().into(),
            platform,
        }
    }

    pub(crate) fn version(&self, version: &MappingVersion) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, version.key(), version)
    }

    pub(crate) fn active(&self, active: &MappingActive) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, active.key(), active)
    }

    pub(crate) fn decisions(&self, decisions: &MappingDecisions) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, decisions.key(), decisions)
    }

    pub(crate) fn sample(&self, sample: &MappingSample) -> Result<OutRecord, StageError> {
        self.sealed(&self.state_samples, SAMPLES_STORE, sample.key(), sample)
    }

    pub(crate) fn profile(&self, profile: &MappingProfile) -> Result<OutRecord, StageError> {
        self.sealed(&self.state_samples, SAMPLES_STORE, profile.key(), profile)
    }

    /// Nothing of `state.samples` with this key is remembered any more.
    pub(crate) fn forgotten(&self, key: String) -> OutRecord {
        OutRecord::tombstone(self.state_samples.clone(), key).to_partition(self.home)
    }

    pub(crate) fn drift(&self, drift: &MappingDrift) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, drift.key(), drift)
    }

    pub(crate) fn no_drift(&self, key: String) -> OutRecord {
        OutRecord::tombstone(self.state_mappings.clone(), key).to_partition(self.home)
    }

    pub(crate) fn parked(&self, key: &str, parked: &ParkedBatch) -> Result<OutRecord, StageError> {
        self.sealed(&self.state_parked, PARKED_STORE, key.to_owned(), parked)
    }

    pub(crate) fn unparked(&self, key: &str) -> OutRecord {
        OutRecord::tombstone(self.state_parked.clone(), key.to_owned()).to_partition(self.home)
    }

    pub(crate) fn outcome(&self, outcome: &HealOutcome) -> Result<OutRecord, StageError> {
        self.state(&self.stage_heal, outcome.mapping.to_string(), outcome)
    }

    pub(crate) fn answer(&self, answer: &ModelAnswer) -> Result<OutRecord, StageError> {
        self.state(&self.stage_heal, answer.mapping.to_string(), answer)
    }

    pub(crate) fn consultation(&self, consultation: &MappingConsultation) -> Result<OutRecord, StageError> {
        self.state(&self.state_mappings, consultation.key(), consultation)
    }

    pub(crate) fn llm_call(&self, call: &LlmCall) -> Result<OutRecord, StageError> {
        self.encoded(&self.log_llm, call.mapping.clone(), call)
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

    /// State that holds data.
    fn sealed<T: ControlRecord>(
        &self,
        topic: &Arc<str>,
        store: &str,
        key: String,
        record: &T,
    ) -> Result<OutRecord, StageError> {
        let value = self.platform.codec.encode(topic, record)?;
        let sealed = self.platform.vault.seal(Place { store, key: key.as_bytes() }, &value);
        Ok(OutRecord::new(topic.clone(), key, Bytes::from(sealed)).to_partition(self.home))
    }

    fn encoded<T: ControlRecord>(&self, topic: &Arc<str>, key: String, record: &T) -> Result<OutRecord, StageError> {
        Ok(OutRecord::new(topic.clone(), key, self.platform.codec.encode(topic, record)?))
    }
}
