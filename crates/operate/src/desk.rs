use std::sync::Arc;

use prunella_catalog::Catalog;
use prunella_model::WorkspaceName;
use prunella_stream::homes::now_millis;
use prunella_stream::{KafkaSettings, OutRecord, SoleWriter, TransactionSettings};
use prunella_streams::WorkLimits;
use prunella_topology::Topics;
use prunella_wire::records::AuditEvent;
use prunella_wire::{ClaimStore, Codec, ValueSchemas};

use crate::error::OperateError;

/// What an operator's command works with.
#[derive(Clone)]
pub struct Desk {
    pub kafka: KafkaSettings,
    pub transactions: TransactionSettings,
    pub topics: Topics,
    pub codec: Arc<Codec>,
    pub claims: ClaimStore,
    pub catalog: Arc<Catalog>,
    /// For values in Avro.
    pub schemas: Arc<ValueSchemas>,
    pub limits: WorkLimits,
    pub workspace: WorkspaceName,
    /// Who is named in records.
    pub actor: String,
}

impl Desk {
    /// Takes the exclusive right to write as `name`.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not give it.
    pub async fn writer(&self, name: &str) -> Result<SoleWriter, OperateError> {
        let name = format!("{}{name}", self.topics.prefix());
        Ok(SoleWriter::take(&self.kafka, &self.transactions, name).await?)
    }

    /// An entry of the audit log.
    ///
    /// # Errors
    /// [`OperateError`] when it cannot be encoded.
    pub fn audit(&self, action: &str, subject: &str, detail: &str) -> Result<OutRecord, OperateError> {
        let topic = self.topics.log_audit();
        let event = AuditEvent {
            at: now_millis(),
            actor: self.actor.clone(),
            action: action.to_owned(),
            workspace: self.workspace.clone(),
            subject: subject.to_owned(),
            detail: detail.to_owned(),
        };
        let value = self.codec.encode(&topic, &event)?;
        Ok(OutRecord::new(topic, self.actor.clone(), value))
    }
}
