use std::sync::Arc;

use prunella_stream::{KafkaSettings, Output, RuntimeSettings};
use prunella_topology::Topics;
use prunella_wire::{ClaimStore, Codec};

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

    /// Name of the consumer group of a service.
    pub fn group(&self, service: &str) -> String {
        format!("{}{service}", self.topics.prefix())
    }
}
