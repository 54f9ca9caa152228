//! Kafka clients of the baselines and of whoever measures.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::error::{BenchError, Result};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a wait for Kafka sleeps between two looks: little beside a round trip, and it leaves the processor to the broker.
const PAUSE: Duration = Duration::from_micros(50);

/// Members that die are noticed this late, by baselines and product alike.
pub(crate) const SESSION_TIMEOUT: &str = "6000";

/// A consumer with the settings of every baseline. Without a group it is for [`read_from`] alone.
pub(crate) fn consumer(brokers: &str, group: Option<&str>) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", group.unwrap_or("bench-nobody"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", SESSION_TIMEOUT)
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100")
        .set("enable.partition.eof", if group.is_none() { "true" } else { "false" });
    Ok(config.create()?)
}

/// Looks at the offsets of a group without joining it. Offsets that a transaction holds back are seen as they were before; a
/// reader of committed records would wait for its end.
pub(crate) fn observer(brokers: &str, group: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", group).set("enable.auto.commit", "false");
    Ok(config.set("isolation.level", "read_uncommitted").create()?)
}

/// Keeps the first record that was not delivered.
#[derive(Default)]
pub(crate) struct Deliveries {
    failure: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

/// Writes records with `acks=all` and idempotence, and never calls `flush`, which takes up to 100 ms.
pub(crate) struct Writer {
    producer: BaseProducer<Deliveries>,
}

impl Writer {
    /// With an id the producer is transactional and ready to begin.
    pub(crate) fn new(brokers: &str, linger_ms: u32, transactional_id: Option<&str>) -> Result<Self> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", linger_ms.to_string())
            .set("compression.type", "lz4")
            .set("retry.backoff.ms", "5")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "262144");
        if let Some(id) = transactional_id {
            config.set("transactional.id", id).set("transaction.timeout.ms", "10000");
        }
        let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
        if transactional_id.is_some() {
            producer.init_transactions(PATIENCE)?;
        }
        Ok(Self { producer })
    }

    pub(crate) fn producer(&self) -> &BaseProducer<Deliveries> {
        &self.producer
    }

    /// Hands a record over; waits only for room in the queue.
    pub(crate) fn send(&self, topic: &str, partition: Option<i32>, key: &[u8], value: &[u8]) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).key(key).payload(value);
        record.partition = partition;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    record = refused;
                    self.serve();
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Takes delivery reports without waiting.
    pub(crate) fn serve(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Returns when all is delivered.
    pub(crate) fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.producer.in_flight_count() > 0 {
            self.serve();
            if Instant::now() > deadline {
                return Err(BenchError::TooSlow {
                    what: "delivery of records".to_owned(),
                    seconds: PATIENCE.as_secs(),
                });
            }
            std::thread::sleep(PAUSE);
        }
        match self.producer.context().failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

/// Partitions of `topic` with their first offset and the one after the last.
pub(crate) fn watermarks(consumer: &BaseConsumer, topic: &str) -> Result<Vec<(i32, i64, i64)>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions);
    partitions
        .map(|partition| {
            let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
            Ok((partition.id(), low, high))
        })
        .collect()
}

/// Assigns all partitions of `topics`. [`Offset::End`] is made an offset at once, so that nothing written later is missed.
pub(crate) fn read_from(consumer: &BaseConsumer, topics: &[&str], start: Offset) -> Result<()> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for (partition, low, high) in watermarks(consumer, topic)? {
            let offset = if start == Offset::End { high } else { low };
            list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        }
    }
    Ok(consumer.assign(&list)?)
}

/// Records of `topic` that `group` has committed, over all partitions, and how many there are.
///
/// `observer` is one of [`observer`].
pub(crate) fn progress(observer: &BaseConsumer, ends: &[(i32, i64, i64)], topic: &str) -> Result<(i64, i64)> {
    let mut list = TopicPartitionList::new();
    for (partition, _, _) in ends {
        list.add_partition(topic, *partition);
    }
    let committed = observer.committed_offsets(list, PATIENCE)?;
    let done = ends.iter().map(|(partition, low, _)| {
        match committed.find_partition(topic, *partition).map(|element| element.offset()) {
            Some(Offset::Offset(next)) => next - low,
            _ => 0,
        }
    });
    Ok((done.sum(), ends.iter().map(|(_, low, high)| high - low).sum()))
}
