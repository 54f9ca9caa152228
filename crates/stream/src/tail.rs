//! Reading whole topics without a group: definitions, schemas, views, cancel notices.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use prunella_wire::Headers;

use crate::error::StreamError;
use crate::record::copy_headers;
use crate::settings::KafkaSettings;

/// Most bytes of records that wait to be taken; one larger record waits alone.
const WAITING_BYTES: usize = 4 << 20;

/// Where a tail starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailFrom {
    Beginning,
    /// Only what is written from now on.
    End,
    /// The next offset to read, by partition; partitions that are not named start at their beginning.
    Offsets(BTreeMap<i32, i64>),
    /// As `Offsets`, of these partitions alone.
    Only(BTreeMap<i32, i64>),
    /// What was written since this moment, in milliseconds since the epoch.
    Since(i64),
}

/// A record of a tailed topic.
#[derive(Debug, Clone)]
pub struct TailedRecord {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl TailedRecord {
    /// Bytes held by this record.
    fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }
}

/// What a tail delivers.
#[derive(Debug)]
pub enum Tailed {
    Record(TailedRecord),
    /// Every partition has been read to its end once. Comes exactly once.
    CaughtUp,
}

/// A running tail; ends when dropped.
pub struct Tail {
    records: Receiver<Tailed>,
    room: Arc<Room>,
    stop: CancellationToken,
}

impl Tail {
    /// Tails all partitions of `topic`.
    ///
    /// # Errors
    /// [`StreamError`] when the client cannot be made or the topic's partitions cannot be had within
    /// ten seconds.
    pub async fn start(kafka: &KafkaSettings, topic: &str, from: TailFrom) -> Result<Self, StreamError> {
        let mut config = kafka.tail_config()?;
        config.set("group.id", "prunella.tail").set("enable.partition.eof", "true");
        let stop = CancellationToken::new();
        let (sender, records) = channel(1024);
        let topic_name = topic.to_owned();
        let stopped = stop.clone();
        let room = Arc::new(Room::default());
        let entered = room.clone();
        let started = tokio::task::spawn_blocking(move || -> Result<(), StreamError> {
            let failed =
                |error: KafkaError| StreamError::Restore { place: topic_name.clone(), reason: error.to_string() };
            let consumer: BaseConsumer = config.create().map_err(failed)?;
            let partitions = assign_all(&consumer, &topic_name, &from).map_err(failed)?;
            std::thread::Builder::new()
                .name("tail".to_owned())
                .spawn(move || follow(&consumer, partitions, &sender, &entered, &stopped))
                .map_err(|error| StreamError::Restore { place: topic_name.clone(), reason: error.to_string() })?;
            Ok(())
        });
        started
            .await
            .unwrap_or_else(|error| Err(StreamError::Restore { place: topic.to_owned(), reason: error.to_string() }))?;
        Ok(Self { records, room, stop })
    }

    /// The next record or sign; `None` when the tail has ended.
    pub async fn next(&mut self) -> Option<Tailed> {
        let tailed = self.records.recv().await;
        if let Some(Tailed::Record(record)) = &tailed {
            self.room.leave(record.size());
        }
        tailed
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Bounds the bytes of the records between the consumer and whoever reads the tail.
#[derive(Default)]
struct Room {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Room {
    /// Waits for room; false when the tail was stopped meanwhile.
    fn enter(&self, bytes: usize, stop: &CancellationToken) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && *used + bytes > WAITING_BYTES {
            if stop.is_cancelled() {
                return false;
            }
            let waited = self.freed.wait_timeout(used, Duration::from_millis(100));
            used = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
        true
    }

    fn leave(&self, bytes: usize) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(bytes);
        self.freed.notify_all();
    }
}

fn assign_all(consumer: &BaseConsumer, topic: &str, from: &TailFrom) -> Result<HashSet<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions: HashSet<i32> = metadata
        .topics()
        .iter()
        .filter(|found| found.name() == topic)
        .flat_map(|found| found.partitions().iter().map(|partition| partition.id()))
        .filter(|partition| !matches!(from, TailFrom::Only(starts) if !starts.contains_key(partition)))
        .collect();
    if partitions.is_empty() {
        return Err(KafkaError::MetadataFetch(rdkafka::error::RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    let start = |partition: &i32| match from {
        TailFrom::Beginning => Offset::Beginning,
        TailFrom::End => Offset::End,
        TailFrom::Offsets(offsets) | TailFrom::Only(offsets) => {
            offsets.get(partition).map_or(Offset::Beginning, |next| Offset::Offset(*next))
        }
        TailFrom::Since(moment) => Offset::Offset(*moment),
    };
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, start(partition))?;
    }
    if matches!(from, TailFrom::Since(_)) {
        // Partitions where nothing was written since are given their end.
        list = consumer.offsets_for_times(list, Duration::from_secs(10))?;
    }
    consumer.assign(&list)?;
    Ok(partitions)
}

fn follow(
    consumer: &BaseConsumer,
    mut behind: HashSet<i32>,
    sender: &Sender<Tailed>,
    room: &Room,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        let tailed = match consumer.poll(Duration::from_millis(100)) {
            None => continue,
            Some(Ok(message)) => Tailed::Record(tailed_record(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if !behind.remove(&partition) || !behind.is_empty() {
                    continue;
                }
                Tailed::CaughtUp
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "tail");
                continue;
            }
        };
        let bytes = if let Tailed::Record(record) = &tailed { record.size() } else { 0 };
        if !room.enter(bytes, stop) || sender.blocking_send(tailed).is_err() {
            return;
        }
    }
}

fn tailed_record(message: &BorrowedMessage<'_>) -> TailedRecord {
    TailedRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: copy_headers(message),
    }
}
