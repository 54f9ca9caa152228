//! Reading state back: a consumer without a group, from the beginning to the end of the partitions
//! it is given. The end is Kafka's end-of-partition event; offsets cannot tell it, because
//! transactions leave control records behind the last record one can see.
//!
//! A transaction counts from the moment its producer is told so, and a moment later in each of its
//! partitions. Whoever takes over state just then would not see the last of it: reading starts only
//! once every transaction is decided that had written here when the restore began.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::chaos::{self, Point, Sabotage, sabotaged};
use crate::error::StreamError;
use crate::settings::KafkaSettings;

/// Longest wait for transactions that others left open: the longest that Kafka lets them be by default.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(15 * 60);
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(10);
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
    let written: BaseConsumer = config
        .set("isolation.level", "read_uncommitted")
        .create()
        .map_err(|error: KafkaError| failed(error.to_string()))?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(|error| failed(error.to_string()))?;
    }
    let (sender, receiver) = channel(8);
    let remaining: HashSet<i32> = partitions.iter().copied().collect();
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let ready = wait_for_transactions(&written, &consumer, &topic, &remaining, || sender.is_closed());
        let reader = if sabotaged(Sabotage::RestoreUncommitted) { written } else { consumer };
        match ready.and_then(|()| reader.assign(&list).map_err(|error| error.to_string())) {
            Ok(()) => read_to_end(&reader, &topic, remaining, &sender),
            Err(reason) => drop(sender.blocking_send(Err(StreamError::Restore { place: topic, reason }))),
        }
    });
    Ok(receiver)
}

/// Waits until what was written before is committed or aborted.
fn wait_for_transactions(
    written: &BaseConsumer,
    decided: &BaseConsumer,
    topic: &str,
    partitions: &HashSet<i32>,
    given_up: impl Fn() -> bool,
) -> Result<(), String> {
    let started = Instant::now();
    let targets = patiently(&given_up, || ends(written, topic, partitions))?;
    loop {
        let ends = patiently(&given_up, || ends(decided, topic, partitions))?;
        let open = targets.iter().filter(|(partition, target)| ends.get(partition).is_none_or(|end| end < target));
        let open: Vec<i32> = open.map(|(partition, _)| *partition).collect();
        if open.is_empty() || given_up() {
            return Ok(());
        }
        if started.elapsed() > LONGEST_TRANSACTION {
            return Err(format!("a transaction stays open on its partitions {open:?}"));
        }
        std::thread::sleep(Duration::from_millis(if started.elapsed() < Duration::from_secs(1) { 5 } else { 100 }));
    }
}

/// A topic that was just made, or whose leader moves, gives no answer for a moment.
fn patiently<T>(given_up: &impl Fn() -> bool, ask: impl Fn() -> Result<T, String>) -> Result<T, String> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(reason) if started.elapsed() < LONGEST_SILENCE && !given_up() => {
                tracing::debug!(%reason, "no answer about the ends of a state topic yet");
                std::thread::sleep(Duration::from_millis(50));
            }
            answer => return answer,
        }
    }
}

/// The ends of partitions, as far as the client may see.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: &HashSet<i32>) -> Result<HashMap<i32, i64>, String> {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, *partition, Offset::End).map_err(|error| error.to_string())?;
    }
    let ends = consumer.offsets_for_times(list, OFFSETS_TIMEOUT).map_err(|error| error.to_string())?;
    let end_of = |end: &TopicPartitionListElem<'_>| match (end.error(), end.offset()) {
        (Ok(()), Offset::Offset(offset)) => Ok((end.partition(), offset)),
        (Ok(()), other) => Err(format!("partition {} ends at {other:?}", end.partition())),
        (Err(error), _) => Err(format!("partition {}: {error}", end.partition())),
    };
    ends.elements().iter().map(end_of).collect()
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
                if chunk.len() == 1 {
                    chaos::at(topic, Point::Restoring);
                }
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
