use std::sync::Arc;

use prunella_model::Code;
use prunella_stream::{KafkaSettings, Output, Record, RuntimeSettings, StageError};
use prunella_topology::Topics;
use prunella_wire::{ClaimStore, Codec, ControlRecord};

use prunella_catalog::Catalog;

/// What all services of a process share.
#[derive(Clone)]
pub struct Platform {
    pub kafka: KafkaSettings,
    pub runtime: RuntimeSettings,
    pub topics: Topics,
    pub codec: Arc<Codec>,
    pub claims: ClaimStore,
    pub output: Output,
    pub catalog: Arc<Catalog>,
}

impl Platform {
    /// Where records go that belong to no workflow.
    pub fn system_dead_letters(&self) -> Arc<str> {
        self.topics.deadletter_system().into()
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

    /// Name of the consumer group of a service.
    pub fn group(&self, service: &str) -> String {
        format!("{}{service}", self.topics.prefix())
    }
}
