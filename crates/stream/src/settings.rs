use std::collections::BTreeMap;
use std::time::Duration;

use prunella_model::{ByteSize, Period};
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::StreamError;

/// How to reach Kafka.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct KafkaSettings {
    /// Brokers to ask first, `host:port` separated by commas.
    pub brokers: String,
    /// Any setting of librdkafka, such as `security.protocol`, `sasl.username` or `ssl.ca.location`, except
    /// those that Prunella owns. A value `env:NAME` is read from the environment, `file:/path` from a file
    /// (without the newline at its end).
    pub librdkafka: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self { brokers: "localhost:9092".to_owned(), librdkafka: BTreeMap::new() }
    }
}

/// The least time that a broker gets to answer a request of a transaction.
const SHORTEST_REQUEST: Duration = Duration::from_secs(1);

/// Settings that decide what the runtime promises; changing them would break it.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set kafka.brokers"),
    ("metadata.broker.list", "set kafka.brokers"),
    ("group.id", "consumer groups are named by Prunella"),
    ("enable.auto.commit", "offsets are committed when their outcome is durable"),
    ("enable.auto.offset.store", "offsets are committed when their outcome is durable"),
    ("auto.offset.reset", "a group starts at the beginning of its topics"),
    ("enable.partition.eof", "restores rely on it"),
    ("partition.assignment.strategy", "state moves by cooperative rebalances"),
    ("partitioner", "state is found by the partitioner of the Java client"),
    ("isolation.level", "only committed records are read"),
    ("enable.idempotence", "retries must not duplicate or reorder"),
    ("acks", "a write counts when all in-sync replicas have it"),
    ("transactional.id", "transactions are named by Prunella"),
    ("transaction.timeout.ms", "set processing.transactions.timeout"),
    ("group.instance.id", "members of exactly-once services are named by processing.transactions.slot"),
    ("group.protocol", "state moves by cooperative rebalances of the classic protocol"),
];

impl KafkaSettings {
    /// The settings every client of this process starts from.
    ///
    /// # Errors
    /// [`StreamError::OwnedSetting`] for a setting that is ours, or a secret that cannot be read.
    pub fn client_config(&self) -> Result<ClientConfig, StreamError> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "prunella");
        // Reconnects and metadata of a restarted broker are noticed in a second, not in ten.
        config.set("reconnect.backoff.max.ms", "2000");
        config.set("topic.metadata.refresh.interval.ms", "30000");
        // So is a connection that is there and carries nothing: in this time, not in a minute.
        config.set("socket.timeout.ms", "15000");
        for (key, value) in &self.librdkafka {
            if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| owned == key) {
                return Err(StreamError::OwnedSetting { key: key.clone(), reason });
            }
            config.set(key, secret(&format!("kafka.librdkafka.{key}"), value)?);
        }
        Ok(config)
    }

    /// For members of a consumer group and readers of state.
    pub fn consumer_config(&self) -> Result<ClientConfig, StreamError> {
        let mut config = self.client_config()?;
        for (key, value) in [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("partition.assignment.strategy", "cooperative-sticky"),
        ] {
            config.set(key, value);
        }
        for (key, value) in [
            ("session.timeout.ms", "10000"),
            ("max.poll.interval.ms", "300000"),
            // What waits in the clients of a busy process adds up: each record costs 320 bytes there beside its own, and what
            // is fetched compressed grows many times over.
            ("queued.max.messages.kbytes", "4096"),
            ("queued.min.messages", "4000"),
            ("fetch.queue.backoff.ms", "10"),
            ("fetch.wait.max.ms", "100"),
            ("receive.message.max.bytes", "110000000"),
            ("fetch.message.max.bytes", "262144"),
        ] {
            self.set_unless_given(&mut config, key, value);
        }
        Ok(config)
    }

    /// For those that follow a topic beside the work: what waits in their client is memory that the work needs.
    pub(crate) fn tail_config(&self) -> Result<ClientConfig, StreamError> {
        let mut config = self.consumer_config()?;
        self.set_unless_given(&mut config, "queued.max.messages.kbytes", "2048");
        Ok(config)
    }

    /// For everything that writes.
    pub fn producer_config(&self) -> Result<ClientConfig, StreamError> {
        let mut config = self.client_config()?;
        for (key, value) in [("enable.idempotence", "true"), ("acks", "all"), ("partitioner", "murmur2_random")] {
            config.set(key, value);
        }
        for (key, value) in [
            ("linger.ms", "1"),
            ("compression.type", "lz4"),
            ("message.max.bytes", "100000000"),
            ("message.timeout.ms", "120000"),
            ("retry.backoff.ms", "20"),
            ("queue.buffering.max.kbytes", "262144"),
            ("queue.buffering.max.messages", "100000"),
        ] {
            self.set_unless_given(&mut config, key, value);
        }
        Ok(config)
    }

    /// For the transactions of one slot of a service.
    pub(crate) fn transactional_config(&self, id: &str, timeout: Duration) -> Result<ClientConfig, StreamError> {
        let mut config = self.producer_config()?;
        let millis = timeout.as_millis().to_string();
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", &millis);
        // A record that is not delivered within the transaction is not delivered.
        config.set("message.timeout.ms", &millis);
        // A request may be lost and sent again within a transaction.
        let patience = (timeout / 2).max(SHORTEST_REQUEST).as_millis().to_string();
        for (key, value) in [("retry.backoff.ms", "5"), ("linger.ms", "0"), ("socket.timeout.ms", patience.as_str())] {
            self.set_unless_given(&mut config, key, value);
        }
        Ok(config)
    }

    fn set_unless_given(&self, config: &mut ClientConfig, key: &str, value: &str) {
        if !self.librdkafka.contains_key(key) {
            config.set(key, value);
        }
    }
}

/// Reads `env:NAME` from the environment and `file:/path` from a file; other values are themselves.
pub fn secret(key: &str, value: &str) -> Result<String, StreamError> {
    if let Some(name) = value.strip_prefix("env:") {
        return std::env::var(name).map_err(|_| StreamError::Secret {
            key: key.to_owned(),
            value: value.to_owned(),
            reason: "it is not set",
        });
    }
    if let Some(path) = value.strip_prefix("file:") {
        let text = std::fs::read_to_string(path).map_err(|_| StreamError::Secret {
            key: key.to_owned(),
            value: value.to_owned(),
            reason: "it cannot be read",
        })?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(value.to_owned())
}

/// How much a stage does at a time and how patient it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RuntimeSettings {
    /// Records of one key are processed in order, records of different keys side by side in this many queues.
    pub shards: usize,
    /// Records of a stage, over all its partitions, that may be taken and not completed. When that many stay open, the
    /// partitions with most of them are paused.
    pub in_flight_records: usize,
    /// The same in bytes.
    pub in_flight_bytes: ByteSize,
    /// Bytes of records that all stages of a process together may have taken and not completed. A stage may always
    /// take a sixteenth of its `in-flight-bytes`.
    pub memory_budget: ByteSize,
    /// Longest time between the completion of a record and the commit of its offset.
    pub commit_interval: Period,
    /// How long a shutdown or a revoked partition waits for the work in flight.
    pub drain_timeout: Period,
    /// Most tries of a record that fails for a moment, the first included.
    pub attempts: u32,
    /// Wait before the second try; doubles with each further try, with jitter.
    pub backoff: Period,
    /// Longest wait between two tries.
    pub max_backoff: Period,
}

impl RuntimeSettings {
    /// How long the end of a stage may take: draining, ending a transaction and leaving the group may each take the drain
    /// timeout. By default that stays under the 30 s that a process is given.
    pub fn longest_end(&self) -> Duration {
        self.drain_timeout.duration() * 3
    }
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            shards: 16,
            in_flight_records: 2000,
            in_flight_bytes: ByteSize::from_mib(64),
            memory_budget: ByteSize::from_mib(128),
            commit_interval: Period::from_millis(200),
            drain_timeout: Period::from_secs(8),
            attempts: 4,
            backoff: Period::from_millis(200),
            max_backoff: Period::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> KafkaSettings {
        KafkaSettings { librdkafka: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..Default::default() }
    }

    #[test]
    fn settings_that_carry_promises_are_refused_and_others_pass() {
        let error = with("acks", "1").producer_config().expect_err("ours");
        assert!(error.to_string().contains("kafka.librdkafka.acks"), "{error}");
        let config = with("linger.ms", "50").producer_config().expect("allowed");
        assert_eq!(config.get("linger.ms"), Some("50"));
        assert_eq!(config.get("acks"), Some("all"));
    }

    #[test]
    fn secrets_come_from_files_and_a_missing_one_names_its_key() {
        let path = std::env::temp_dir().join(format!("prunella-secret-{}", std::process::id()));
        std::fs::write(&path, "s3cret\n").expect("written");
        let config = with("sasl.password", &format!("file:{}", path.display())).client_config().expect("read");
        assert_eq!(config.get("sasl.password"), Some("s3cret"));
        std::fs::remove_file(&path).expect("removed");
        let error = with("sasl.password", "env:PRUNELLA_NO_SUCH_VARIABLE").client_config().expect_err("missing");
        assert!(error.to_string().contains("sasl.password"), "{error}");
    }
}
