//! Reading state back: a consumer without a group, from the beginning to the end of the partitions
//! it is given. The end is Kafka's end-of-partition event; offsets cannot tell it, because
//! transactions leave control records behind the last record one can see.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::error::StreamError;
use crate::settings::KafkaSettings;

/// Records handed over at a time.
const CHUNK: usize = 512;
/// Longest silence of the broker before a restore is given up.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// A record of a state topic.
pub struct StateRecord {
    pub partition: i32,
    pub offset: i64,
    pub key: Bytes,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Streams all records of `partitions` of a compacted topic, in order per partition. The channel
/// ends when every partition was read to its end, or after an error.
pub fn restore_partitions(
    kafka: &KafkaSettings,
    topic: &str,
    partitions: &[i32],
) -> Result<Receiver<Result<Vec<StateRecord>, StreamError>>, StreamError> {
    let failed = |reason: String| StreamError::Restore { place: topic.to_owned(), reason };
    let mut config = kafka.consumer_config()?;
    // A group id is demanded by the client and never used: nothing is subscribed, nothing committed.
    config.set("group.id", "prunella.restore").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().map_err(|error: KafkaError| failed(error.to_string()))?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(|error| failed(error.to_string()))?;
    }
    consumer.assign(&list).map_err(|error| failed(error.to_string()))?;
    let (sender, receiver) = channel(8);
    let remaining: HashSet<i32> = partitions.iter().copied().collect();
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || read_to_end(&consumer, &topic, remaining, &sender));
    Ok(receiver)
}

fn read_to_end(
    consumer: &BaseConsumer,
    topic: &str,
    mut remaining: HashSet<i32>,
    sender: &Sender<Result<Vec<StateRecord>, StreamError>>,
) {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut last_sign = Instant::now();
    while !remaining.is_empty() {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                last_sign = Instant::now();
                chunk.push(StateRecord {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(Bytes::copy_from_slice).unwrap_or_default(),
                    value: message.payload().map(Bytes::copy_from_slice),
                });
                if chunk.len() >= CHUNK && sender.blocking_send(Ok(std::mem::take(&mut chunk))).is_err() {
                    return;
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                last_sign = Instant::now();
                remaining.remove(&partition);
            }
            Some(Err(error)) => tracing::warn!(topic, %error, "restore"),
            None => {}
        }
        if last_sign.elapsed() > LONGEST_SILENCE {
            let reason = format!(
                "no answer from Kafka for {} s with {} partitions left to read",
                LONGEST_SILENCE.as_secs(),
                remaining.len()
            );
            let failed = StreamError::Restore { place: topic.to_owned(), reason };
            return drop(sender.blocking_send(Err(failed)));
        }
    }
    if !chunk.is_empty() {
        drop(sender.blocking_send(Ok(chunk)));
    }
}
