//! The baselines that move records from topic to topic: as little as any service on Kafka has to do.
//!
//! A *hop* commits as soon as it can and writes state beside its output, as an orchestrator must. A *copy* writes what it
//! reads, and commits at intervals.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use crate::client::{PATIENCE, Writer, consumer};
use crate::error::Result;
use crate::variant::Guarantee;

const STATE_RECORD: [u8; 400] = [b's'; 400];
/// The longest time between two commits of offsets at least once.
const OFFSET_INTERVAL: Duration = Duration::from_millis(100);
const IDLE_POLL: Duration = Duration::from_millis(50);

/// What a relay does. Handed to its process as one argument.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) brokers: String,
    pub(crate) group: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Two records of 400 bytes are written there for each record.
    pub(crate) state: Option<String>,
    pub(crate) guarantee: Guarantee,
    pub(crate) linger_ms: u32,
    /// A batch is closed when it has this many records …
    pub(crate) batch_records: usize,
    /// … or is this old; zero closes it as soon as no record is at hand.
    pub(crate) batch_millis: u64,
}

impl Relay {
    /// One output and two state records per record, up to 500 records per commit.
    pub(crate) fn hop(brokers: &str, name: &str, guarantee: Guarantee) -> Self {
        Self {
            brokers: brokers.to_owned(),
            group: format!("{name}-group"),
            from: format!("{name}-in"),
            to: format!("{name}-out"),
            state: Some(format!("{name}-state")),
            guarantee,
            linger_ms: 0,
            batch_records: 500,
            batch_millis: 0,
        }
    }

    /// Records as they are, a commit every 100 ms.
    pub(crate) fn copy(brokers: &str, group: &str, from: &str, to: &str, guarantee: Guarantee) -> Self {
        Self {
            brokers: brokers.to_owned(),
            group: group.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            state: None,
            guarantee,
            linger_ms: 2,
            batch_records: usize::MAX,
            batch_millis: 100,
        }
    }

    /// Works until `stop` is set. After any error clients are made anew: librdkafka does not tell what became of a
    /// transaction whose end was not confirmed.
    pub(crate) fn run(&self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = self.session(stop) {
                eprintln!("relay {}: {error}; starting over", self.group);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn session(&self, stop: &AtomicBool) -> Result<()> {
        let consumer = consumer(&self.brokers, Some(&self.group))?;
        consumer.subscribe(&[&self.from])?;
        let id = format!("{}-{}", self.group, std::process::id());
        let transactional = self.guarantee == Guarantee::ExactlyOnce;
        let writer = Writer::new(&self.brokers, self.linger_ms, transactional.then_some(&id))?;
        let mut offsets_committed = Instant::now();
        let mut offsets = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            self.batch(&consumer, &writer, transactional, &mut offsets)?;
            if offsets.is_empty() {
                continue;
            }
            if transactional {
                let metadata = consumer.group_metadata();
                let list = self.list(&std::mem::take(&mut offsets))?;
                let producer = writer.producer();
                if let Some(metadata) = metadata {
                    producer.send_offsets_to_transaction(&list, &metadata, PATIENCE)?;
                }
                producer.commit_transaction(PATIENCE)?;
            } else if offsets_committed.elapsed() >= OFFSET_INTERVAL {
                consumer.commit(&self.list(&std::mem::take(&mut offsets))?, CommitMode::Async)?;
                offsets_committed = Instant::now();
            }
        }
        if !transactional && !offsets.is_empty() {
            consumer.commit(&self.list(&offsets)?, CommitMode::Sync)?;
        }
        Ok(())
    }

    /// Takes and writes the records of one batch; returns when all are delivered. A transaction is left open.
    fn batch(
        &self,
        consumer: &BaseConsumer,
        writer: &Writer,
        transactional: bool,
        offsets: &mut BTreeMap<i32, i64>,
    ) -> Result<()> {
        let longest = Duration::from_millis(self.batch_millis);
        let mut opened: Option<Instant> = None;
        let mut taken = 0;
        while taken < self.batch_records {
            let wait = opened.map_or(IDLE_POLL, |opened| longest.saturating_sub(opened.elapsed()));
            let Some(message) = consumer.poll(wait) else {
                break;
            };
            let message = message?;
            if opened.is_none() {
                opened = Some(Instant::now());
                if transactional {
                    writer.producer().begin_transaction()?;
                }
            }
            let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            writer.send(&self.to, None, key, value)?;
            if let Some(state) = &self.state {
                writer.send(state, None, key, &STATE_RECORD)?;
                writer.send(state, None, key, &STATE_RECORD)?;
            }
            offsets.insert(message.partition(), message.offset() + 1);
            taken += 1;
            writer.serve();
            if longest > Duration::ZERO && opened.is_some_and(|opened| opened.elapsed() >= longest) {
                break;
            }
        }
        writer.settle()
    }

    fn list(&self, offsets: &BTreeMap<i32, i64>) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, next) in offsets {
            list.add_partition_offset(&self.from, *partition, Offset::Offset(*next))?;
        }
        Ok(list)
    }
}
