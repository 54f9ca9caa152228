use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use super::wait::{block_on, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A Kafka client that knows nothing of Prunella.
pub struct Kafka {
    config: ClientConfig,
    producer: OnceLock<FutureProducer>,
}

/// A record as it stands in a topic.
#[derive(Debug, Clone)]
pub struct ReadRecord {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Of equal names the last value, as Kafka's `lastHeader` gives it.
    pub headers: BTreeMap<String, Vec<u8>>,
}

impl ReadRecord {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        let value = self.value.as_deref().unwrap_or_default();
        serde_json::from_slice(value).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(value)))
    }

    /// The key as text.
    pub fn key_text(&self) -> &str {
        self.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
    }
}

impl Kafka {
    pub(crate) fn new(bootstrap_servers: String) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap_servers);
        config.set("message.max.bytes", "100000000").set("receive.message.max.bytes", "150000000");
        Self { config, producer: OnceLock::new() }
    }

    fn consumer(&self) -> BaseConsumer {
        let mut config = self.config.clone();
        config.set("group.id", "nobody").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("fetch.wait.max.ms", "20").create().expect("a consumer")
    }

    fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("metadata");
        metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect()
    }

    /// Records of `topic` that are committed. The ends of its partitions do not tell: transactions leave records of
    /// their own.
    pub fn count(&self, topic: &str) -> i64 {
        i64::try_from(self.read(topic).len()).expect("a count")
    }

    /// Every record of `topic`, up to its end.
    pub fn read(&self, topic: &str) -> Vec<ReadRecord> {
        let consumer = self.consumer();
        let mut open: BTreeSet<i32> = Self::partitions(&consumer, topic).into_iter().collect();
        assert!(!open.is_empty(), "there is no topic {topic}");
        let mut start = TopicPartitionList::new();
        for partition in &open {
            start.add_partition_offset(topic, *partition, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&start).expect("assigned");
        let deadline = Instant::now() + PATIENCE;
        let mut records = Vec::new();
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{topic} was not read to its end");
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => records.push(read_record(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => {}
            }
        }
        records
    }

    /// Writes one record and waits for it to be accepted.
    pub fn produce(&self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) {
        self.produce_to(topic, None, key, value, headers);
    }

    /// As [`Kafka::produce`], to a partition of choice.
    pub fn produce_to(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        let mut record = FutureRecord::<[u8], [u8]>::to(topic);
        record.key = key;
        record.payload = value;
        record.partition = partition;
        let mut all = OwnedHeaders::new();
        for (name, value) in headers {
            all = all.insert(Header { key: name, value: Some(*value) });
        }
        let sent = block_on(self.producer().send(record.headers(all), PATIENCE));
        sent.map_err(|(error, _)| error).unwrap_or_else(|error| panic!("{topic} does not accept the record: {error}"));
    }

    /// Writes records with keys in the order given and waits for all of them to be accepted.
    pub fn produce_all(&self, topic: &str, records: &[(String, String)]) {
        let send = |(key, value): &(String, String)| {
            let record = FutureRecord::to(topic).key(key.as_bytes()).payload(value.as_bytes());
            let queued = self.producer().send_result(record);
            queued.unwrap_or_else(|(error, _)| panic!("{topic} does not take the record: {error}"))
        };
        let deliveries: Vec<_> = records.iter().map(send).collect();
        for delivery in deliveries {
            let delivered = block_on(delivery).expect("a producer");
            delivered.unwrap_or_else(|(error, _)| panic!("{topic} does not accept the record: {error}"));
        }
    }

    /// What a consumer group has committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.config.clone().set("group.id", group).create().expect("a consumer");
        let mut asked = TopicPartitionList::new();
        asked.add_partition(topic, partition);
        let committed = consumer.committed_offsets(asked, PATIENCE).expect("offsets");
        match committed.elements().first().map(|element| element.offset()) {
            Some(Offset::Offset(offset)) => Some(offset),
            _ => None,
        }
    }

    fn producer(&self) -> &FutureProducer {
        let create = || self.config.clone().set("enable.idempotence", "true").create().expect("a producer");
        self.producer.get_or_init(create)
    }

    /// # Panics
    /// When there is such a topic already.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config.create().expect("an admin client");
        let brokers = self.consumer().fetch_metadata(None, PATIENCE).expect("metadata").brokers().len();
        let copies = if brokers < 3 { 1 } else { 3 };
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
        let created = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("an answer");
        created[0].as_ref().expect("created");
        wait_until(PATIENCE, "the topic has a leader", || {
            let metadata = self.consumer().fetch_metadata(Some(topic), PATIENCE).ok()?;
            let partitions = metadata.topics()[0].partitions();
            (!partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0)).then_some(())
        });
    }
}

fn read_record<M: Message>(message: &M) -> ReadRecord {
    let headers = message.headers().map(|headers| {
        let pairs = headers.iter().map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()));
        pairs.collect()
    });
    ReadRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
    }
}
