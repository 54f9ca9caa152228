//! Writing in transactions under a name that one process has at a time, apart from any group.

use std::sync::Arc;

use crate::error::StreamError;
use crate::processing::TransactionSettings;
use crate::record::OutRecord;
use crate::settings::KafkaSettings;
use crate::transaction::{Failure, TransactionalProducer};

/// The only writer of its name. Whoever takes the name later ends what this one left open and fences it off.
pub struct SoleWriter {
    producer: Arc<TransactionalProducer>,
    name: String,
}

impl SoleWriter {
    /// Takes the name: from now on everything that an earlier holder wrote is either there or never will be.
    ///
    /// # Errors
    /// [`StreamError`] when Kafka does not give the name.
    pub async fn take(
        kafka: &KafkaSettings,
        settings: &TransactionSettings,
        name: impl Into<String>,
    ) -> Result<Self, StreamError> {
        let name = name.into();
        let producer = Arc::new(TransactionalProducer::new(kafka, settings, &name, &name)?);
        let writer = Self { producer, name };
        writer.blocking(|producer| producer.init(|| false)).await?;
        Ok(writer)
    }

    /// Writes `records` in one transaction: all of them are there, or none.
    ///
    /// # Errors
    /// [`StreamError`]: what was written is open to doubt until somebody takes the name again.
    pub async fn commit(&mut self, records: Vec<OutRecord>) -> Result<(), StreamError> {
        if records.is_empty() {
            return Ok(());
        }
        self.blocking(move |producer| {
            producer.begin()?;
            if let Err(failure) = producer.write(records.iter()) {
                // The failure is what matters; an abort that fails too is made up for by the next holder.
                let _ = producer.abort();
                return Err(failure);
            }
            producer.commit()
        })
        .await
    }

    async fn blocking(
        &self,
        work: impl FnOnce(&TransactionalProducer) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StreamError> {
        let producer = self.producer.clone();
        let done = tokio::task::spawn_blocking(move || work(&producer)).await;
        done.unwrap_or_else(|error| Err(Failure::Unclear(error.to_string())))
            .map_err(|failure| failure.for_stage(&self.name, 0))
    }
}
