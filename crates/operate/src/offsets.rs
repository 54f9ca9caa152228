//! What Kafka says about the ends of topics and the positions of groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use prunella_stream::{KafkaSettings, StreamError};

use crate::error::OperateError;

const PATIENCE: Duration = Duration::from_secs(15);

/// Records `first..end` of a partition are there, as far as readers of committed records see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub first: i64,
    pub end: i64,
}

/// Asks about offsets.
#[derive(Clone)]
pub struct Offsets {
    config: ClientConfig,
    consumer: Arc<BaseConsumer>,
}

impl Offsets {
    /// # Errors
    /// [`OperateError`] when the client cannot be made.
    pub fn new(kafka: &KafkaSettings) -> Result<Self, OperateError> {
        let mut config = kafka.consumer_config()?;
        // A group id is demanded by the client; nothing is subscribed or committed under it.
        config.set("group.id", "prunella.offsets");
        Ok(Self { consumer: Arc::new(client(&config)?), config })
    }

    /// First and end offset of every partition of `topic`; `None` when there is no such topic.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn bounds(&self, topic: &str) -> Result<Option<BTreeMap<i32, Bounds>>, OperateError> {
        let topic = topic.to_owned();
        self.ask(topic.clone(), move |consumer| {
            let partitions = partitions(consumer, &topic)?;
            let bounds_of = |partition: i32| {
                let (first, end) = consumer.fetch_watermarks(&topic, partition, PATIENCE)?;
                Ok((partition, Bounds { first, end }))
            };
            partitions.map(|partitions| partitions.into_iter().map(bounds_of).collect()).transpose()
        })
        .await
    }

    /// The first offset of each partition whose record is not older than `millis`; the end where there is none.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn at_time(&self, topic: &str, millis: i64) -> Result<BTreeMap<i32, i64>, OperateError> {
        let topic = topic.to_owned();
        self.ask(topic.clone(), move |consumer| {
            let mut asked = TopicPartitionList::new();
            for partition in partitions(consumer, &topic)?.unwrap_or_default() {
                asked.add_partition_offset(&topic, partition, Offset::Offset(millis))?;
            }
            if asked.count() == 0 {
                return Ok(BTreeMap::new());
            }
            let found = consumer.offsets_for_times(asked, PATIENCE)?;
            let offset_of = |partition: i32, offset: Offset| match offset {
                Offset::Offset(offset) => Ok((partition, offset)),
                _ => Ok((partition, consumer.fetch_watermarks(&topic, partition, PATIENCE)?.1)),
            };
            found.elements().iter().map(|one| offset_of(one.partition(), one.offset())).collect()
        })
        .await
    }

    /// What `group` has committed for `topic`, by partition.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, OperateError> {
        let mut config = self.config.clone();
        config.set("group.id", group);
        let reader = client(&config)?;
        let topic = topic.to_owned();
        self.ask(format!("group {group}"), move |consumer| {
            let mut asked = TopicPartitionList::new();
            for partition in partitions(consumer, &topic)?.unwrap_or_default() {
                asked.add_partition(&topic, partition);
            }
            if asked.count() == 0 {
                return Ok(BTreeMap::new());
            }
            let committed = reader.committed_offsets(asked, PATIENCE)?;
            let offset_of = |partition: i32, offset: Offset| match offset {
                Offset::Offset(offset) => Some((partition, offset)),
                _ => None,
            };
            Ok(committed.elements().iter().filter_map(|one| offset_of(one.partition(), one.offset())).collect())
        })
        .await
    }

    /// How many members a group has.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn members(&self, group: &str) -> Result<usize, OperateError> {
        let group = group.to_owned();
        self.ask(format!("group {group}"), move |consumer| {
            let listed = consumer.fetch_group_list(Some(&group), PATIENCE)?;
            Ok(listed.groups().iter().filter(|found| found.name() == group).map(|found| found.members().len()).sum())
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: String,
        question: impl FnOnce(&BaseConsumer) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, OperateError> {
        let consumer = self.consumer.clone();
        let answer = tokio::task::spawn_blocking(move || question(&consumer)).await;
        answer
            .map_or_else(|error| Err(error.to_string()), |answer| answer.map_err(|error| error.to_string()))
            .map_err(|reason| OperateError::Offsets { what, reason })
    }
}

fn client(config: &ClientConfig) -> Result<BaseConsumer, OperateError> {
    let client = config.create();
    client.map_err(|error: KafkaError| {
        StreamError::Client { stage: "offsets".to_owned(), reason: error.to_string() }.into()
    })
}

/// Partitions of `topic`; `None` when there is no such topic.
fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Option<Vec<i32>>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    let found = found.map(|found| found.partitions().iter().map(|partition| partition.id()).collect::<Vec<_>>());
    Ok(found.filter(|partitions| !partitions.is_empty()))
}
