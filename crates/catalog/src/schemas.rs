//! `state.schemas`: the writer schema of every control record, by fingerprint, so that releases side
//! by side can read each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;

use prunella_stream::{KafkaSettings, OutRecord, Output, OutputError, restore_partitions};
use prunella_topology::Topics;
use prunella_wire::{Fingerprint, SchemaSource};

/// Publishes this release's schemas and finds those of others.
pub struct SchemaTopic {
    kafka: KafkaSettings,
    topic: String,
    known: Mutex<HashMap<String, String>>,
}

impl SchemaTopic {
    pub fn new(kafka: KafkaSettings, topics: &Topics) -> Arc<Self> {
        Arc::new(Self { kafka, topic: topics.state_schemas(), known: Mutex::default() })
    }

    /// Writes the schemas of this release. Done before the first control record is written, and
    /// harmless to repeat: the topic is compacted.
    pub async fn publish(&self, output: &Output) -> Result<(), OutputError> {
        let records = prunella_wire::records::all().into_iter().map(|schema| {
            OutRecord::new(self.topic.as_str(), schema.fingerprint.to_string(), schema.text).to_partition(0)
        });
        output.deliver(records.collect()).await
    }

    async fn read_all(&self) {
        let mut records = match restore_partitions(&self.kafka, &self.topic, &[0]) {
            Ok(records) => records,
            Err(error) => return tracing::warn!(%error, "the schema topic cannot be read"),
        };
        while let Some(chunk) = records.recv().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return tracing::warn!(%error, "the schema topic cannot be read"),
            };
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for record in chunk {
                let text = record.value.and_then(|value| String::from_utf8(value.to_vec()).ok());
                if let (Ok(key), Some(text)) = (String::from_utf8(record.key.to_vec()), text) {
                    known.insert(key, text);
                }
            }
        }
    }

    fn lookup(&self, fingerprint: Fingerprint) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&fingerprint.to_string()).cloned()
    }
}

impl SchemaSource for SchemaTopic {
    /// Schemas are published before the first record that needs them: reading the topic to its end is
    /// enough, and waiting longer would only hold up the records behind a wrong one.
    fn find(&self, fingerprint: Fingerprint) -> BoxFuture<'_, Option<String>> {
        async move {
            if let Some(text) = self.lookup(fingerprint) {
                return Some(text);
            }
            self.read_all().await;
            self.lookup(fingerprint)
        }
        .boxed()
    }
}
