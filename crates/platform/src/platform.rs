use std::sync::Arc;

use prunella_model::{Code, WorkflowName, WorkspaceName};
use prunella_stream::{
    Guarantee, KafkaSettings, MemberConfig, MemoryBudget, Output, Record, RefusedSizes, RuntimeSettings, StageError,
    Workbench, Writing,
};
use prunella_topology::Topics;
use prunella_vault::Vault;
use prunella_wire::{ClaimStore, Codec, ControlRecord};

use prunella_catalog::{Catalog, MappingView};

use crate::{Guard, Processing};

/// What all services of a process share.
#[derive(Clone)]
pub struct Platform {
    pub kafka: KafkaSettings,
    pub runtime: RuntimeSettings,
    pub processing: Processing,
    pub topics: Topics,
    pub codec: Arc<Codec>,
    pub claims: ClaimStore,
    pub output: Output,
    pub refused: RefusedSizes,
    pub memory: MemoryBudget,
    /// For what takes a processor for long.
    pub workbench: Workbench,
    pub catalog: Arc<Catalog>,
    pub mappings: Arc<MappingView>,
    pub guard: Arc<Guard>,
    /// Opens and seals what is kept of the data.
    pub vault: Arc<Vault>,
}

impl Platform {
    /// Where records go that belong to no workflow.
    pub fn system_dead_letters(&self) -> Arc<str> {
        self.topics.deadletter_system().into()
    }

    /// Where records of a workflow go that nobody can take. A record may name a workflow that there is not, and a
    /// topic that there is not would hold up the whole stage.
    pub fn dead_letters(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> Arc<str> {
        let known = self.catalog.history().workflows.contains_key(&(workspace.clone(), workflow.clone()));
        if known { self.topics.deadletter(workspace, workflow).into() } else { self.system_dead_letters() }
    }

    /// The one control record that may stand on a topic.
    ///
    /// # Errors
    /// [`StageError`] for a record without value, of another type, or that cannot be read.
    pub async fn decode<T: ControlRecord>(&self, record: &Record) -> Result<T, StageError> {
        let Some(value) = &record.value else {
            return Err(StageError::new(Code::RecordMalformed, format!("{} has no value", record.place())));
        };
        Ok(self.codec.decode(value).await?)
    }

    /// How a service joins its group, whose name is the service's own under the prefix of the topics.
    pub fn member(
        &self,
        service: &str,
        guarantee: Guarantee,
        topics: Vec<String>,
        restored_topics: Vec<String>,
    ) -> MemberConfig {
        let group = format!("{}{service}", self.topics.prefix());
        let transactions = &self.processing.transactions;
        let writing = match guarantee {
            Guarantee::AtLeastOnce => Writing::AtLeastOnce(self.output.clone()),
            Guarantee::ExactlyOnce => Writing::ExactlyOnce {
                id: format!("{group}-{}", transactions.slot),
                settings: transactions.clone(),
                refused: self.refused.clone(),
            },
        };
        MemberConfig {
            stage: service.to_owned(),
            group,
            topics,
            restored_topics,
            notices_rewinds: false,
            kafka: self.kafka.clone(),
            runtime: self.runtime.clone(),
            memory: self.memory.clone(),
            writing,
        }
    }
}
