use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella_model::Code;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;

use crate::{
    ClusterShape, ConnectionLog, DesiredTopic, ExistingTopic, MissingPermission, Plan, ShapeProblem, TopologyError,
    diagnose, problems,
};

/// A connection to a cluster for reading and changing the shape of its topics. Meant to be used and
/// dropped: its clients' logs are only read while it works.
pub struct Cluster {
    pub(crate) connection: Arc<Connection>,
    pub(crate) admin: Arc<AdminClient<ConnectionLog>>,
    pub(crate) operation_timeout: Duration,
}

/// A consumer without a group: unlike a producer's, its metadata requests never create topics, and
/// polling it delivers the errors of its connections.
pub(crate) struct Connection {
    consumer: BaseConsumer<ConnectionLog>,
    log: ConnectionLog,
    brokers: String,
    /// `ssl.ca.location`, which librdkafka's messages leave out.
    authority: Option<String>,
}

/// Options for clients that stay: groups and transactions would make us a member, statistics would pile up unread.
const USELESS_HERE: [&str; 4] = ["group.id", "group.instance.id", "statistics.interval.ms", "transactional.id"];

const PROPAGATION: Duration = Duration::from_millis(500);

impl Cluster {
    const DEFAULT_OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

    /// Connects with `config` (any librdkafka options; those of consumer groups are ignored). Waits up to
    /// `timeout` for a broker, less when it is clear that none will take us.
    pub async fn connect(config: &ClientConfig, timeout: Duration) -> Result<Self, TopologyError> {
        let mut config = config.clone();
        for option in USELESS_HERE {
            config.remove(option);
        }
        config.set("allow.auto.create.topics", "false");
        let brokers = config.get("bootstrap.servers").unwrap_or_default().to_owned();
        if brokers.is_empty() {
            return Err(TopologyError::Config {
                key: "bootstrap.servers".to_owned(),
                reason: "no Kafka broker is configured: expected host:port, several separated by commas".to_owned(),
            });
        }
        let authority = config.get("ssl.ca.location").map(str::to_owned);
        let creation_error = |error: KafkaError| {
            let code = diagnose(&error).unwrap_or(Code::Config);
            connection_error(code, &brokers, authority.as_deref(), error.to_string())
        };
        let log = ConnectionLog::new();
        let consumer = config.create_with_context(log.clone()).map_err(creation_error)?;
        let connection = Arc::new(Connection { consumer, log, brokers: brokers.clone(), authority: authority.clone() });
        blocking(&connection, move |connection| connection.wait_for_broker(timeout)).await?;

        let admin: AdminClient<ConnectionLog> =
            config.create_with_context(ConnectionLog::new()).map_err(creation_error)?;
        Ok(Self { connection, admin: Arc::new(admin), operation_timeout: Self::DEFAULT_OPERATION_TIMEOUT })
    }

    /// Longest time for one request and for created topics to become ready; 60 s without this.
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// What the cluster has of the topics called `names`, and how many brokers are up.
    pub async fn describe(&self, names: &[String]) -> Result<ClusterShape, TopologyError> {
        let wanted = names.to_vec();
        let timeout = self.operation_timeout;
        let mut shape = blocking(&self.connection, move |connection| connection.describe(&wanted, timeout)).await?;
        self.read_configs(&mut shape.topics).await?;
        if without_config(&shape.topics).is_some() {
            // A broker that has not heard of a new topic yet answers like one that refuses.
            tokio::time::sleep(PROPAGATION).await;
            self.read_configs(&mut shape.topics).await?;
        }
        match without_config(&shape.topics) {
            Some(name) => Err(not_authorized("DescribeConfigs", name)),
            None => Ok(shape),
        }
    }

    /// The way from what the cluster has to `desired`. Changes nothing.
    pub async fn plan(&self, desired: &[DesiredTopic]) -> Result<Plan, TopologyError> {
        Ok(Plan::between(&self.describe(&names_of(desired)).await?, desired))
    }

    /// For services at their start: fails with [`TopologyError::Shape`] when a topic in `required` is
    /// missing or has a shape that they cannot work with.
    pub async fn check(&self, required: &[DesiredTopic]) -> Result<(), TopologyError> {
        let found: Vec<ShapeProblem> = problems(&self.describe(&names_of(required)).await?, required);
        if found.is_empty() {
            return Ok(());
        }
        Err(TopologyError::Shape { problems: found })
    }

    async fn read_configs(&self, topics: &mut BTreeMap<String, ExistingTopic>) -> Result<(), TopologyError> {
        if topics.is_empty() {
            return Ok(());
        }
        let resources: Vec<_> = topics.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(self.operation_timeout));
        let described = self
            .admin
            .describe_configs(&resources, &options)
            .await
            .map_err(|error| self.connection.failure(&error, "the settings of topics cannot be read"))?;
        for resource in described.into_iter().flatten() {
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
                continue;
            };
            let Some(topic) = topics.get_mut(&name) else {
                continue;
            };
            topic.config = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect();
        }
        Ok(())
    }
}

impl Connection {
    /// One metadata request; errors that arrive meanwhile are heard between two of them.
    const PATIENCE: Duration = Duration::from_millis(500);
    /// Other bootstrap brokers may still take us after one of them refused.
    const SECOND_CHANCE: Duration = Duration::from_secs(2);

    fn wait_for_broker(&self, timeout: Duration) -> Result<(), TopologyError> {
        let started = Instant::now();
        loop {
            let patience = Self::PATIENCE.min(timeout.saturating_sub(started.elapsed()));
            let answer = self.consumer.fetch_metadata(None, patience.max(Duration::from_millis(1)));
            self.hear();
            let error = match answer {
                Ok(_) => {
                    self.log.forget();
                    return Ok(());
                }
                Err(error) => error,
            };
            let verdict = self.log.verdict();
            let is_hopeless = verdict.as_ref().is_some_and(|verdict| verdict.code != Code::BrokerUnreachable);
            let waited = started.elapsed();
            if waited >= timeout || (is_hopeless && waited >= Self::SECOND_CHANCE) {
                return Err(self.failure(&error, &format!("no answer within {:.1} s", waited.as_secs_f32())));
            }
        }
    }

    fn describe(&self, names: &[String], timeout: Duration) -> Result<ClusterShape, TopologyError> {
        let metadata = self
            .consumer
            .fetch_metadata(None, timeout)
            .map_err(|error| self.failure(&error, "the list of topics cannot be read"))?;
        let mut shape = ClusterShape { brokers: metadata.brokers().len(), topics: BTreeMap::new() };
        let listed: BTreeMap<_, _> = metadata.topics().iter().map(|topic| (topic.name(), topic)).collect();
        for name in names {
            let existing = match listed.get(name.as_str()) {
                Some(topic) => self.existing_topic(topic)?,
                // The list leaves out topics that we may not see: only asking by name tells them from missing ones.
                None => self.ask_for(name, timeout)?,
            };
            if let Some(existing) = existing {
                shape.topics.insert(name.clone(), existing);
            }
        }
        Ok(shape)
    }

    fn ask_for(&self, name: &str, timeout: Duration) -> Result<Option<ExistingTopic>, TopologyError> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(name), timeout)
            .map_err(|error| self.failure(&error, "a topic cannot be looked up"))?;
        match metadata.topics().first() {
            Some(topic) => self.existing_topic(topic),
            None => Ok(None),
        }
    }

    fn existing_topic(&self, topic: &MetadataTopic) -> Result<Option<ExistingTopic>, TopologyError> {
        match topic.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Ok(None);
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                return Err(not_authorized("Describe", topic.name()));
            }
            // Created a moment ago, or its brokers are down: it exists.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
            Some(error) => {
                let code = diagnose(&KafkaError::Global(error)).unwrap_or(Code::BrokerUnreachable);
                let reason = format!("topic {} cannot be described: {error}", topic.name());
                return Err(self.connection_error(code, reason));
            }
        }
        let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
        Ok(Some(ExistingTopic {
            partitions: i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX),
            replication: copies.and_then(|copies| i32::try_from(copies).ok()).unwrap_or(0),
            config: BTreeMap::new(),
        }))
    }

    /// Of `names`, those with a partition that has no leader, or that are not there at all.
    pub(crate) fn not_ready(
        &self,
        names: &BTreeMap<String, i32>,
        timeout: Duration,
    ) -> Result<Vec<String>, TopologyError> {
        let metadata = self
            .consumer
            .fetch_metadata(None, timeout)
            .map_err(|error| self.failure(&error, "the list of topics cannot be read"))?;
        let is_ready = |name: &str, partitions: i32| {
            metadata.topics().iter().any(|topic| {
                topic.name() == name
                    && topic.error().is_none()
                    && topic.partitions().iter().filter(|partition| partition.leader() >= 0).count()
                        >= usize::try_from(partitions).unwrap_or(0)
            })
        };
        let waiting = names.iter().filter(|(name, partitions)| !is_ready(name, **partitions));
        Ok(waiting.map(|(name, _)| name.clone()).collect())
    }

    /// `error` with its code and, where the connections say more, their reason.
    pub(crate) fn failure(&self, error: &KafkaError, what: &str) -> TopologyError {
        self.hear();
        let code = diagnose(error).unwrap_or(Code::BrokerUnreachable);
        let verdict = self.log.verdict().filter(|_| code == Code::BrokerUnreachable);
        let (code, reason) = match verdict {
            Some(event) => (event.code, event.text),
            None => (code, error.to_string()),
        };
        self.connection_error(code, format!("{what}: {reason}"))
    }

    /// Delivers waiting log and error events to the connection log. A poll without patience would return
    /// after the first log line.
    fn hear(&self) {
        while self.consumer.poll(Duration::from_millis(10)).is_some() {}
    }

    fn connection_error(&self, code: Code, reason: String) -> TopologyError {
        connection_error(code, &self.brokers, self.authority.as_deref(), reason)
    }
}

/// rdkafka hides the error of a single resource: a topic without any setting is one that we may not ask about.
fn without_config(topics: &BTreeMap<String, ExistingTopic>) -> Option<&str> {
    let is_bare = |(_, topic): &(&String, &ExistingTopic)| topic.config.is_empty();
    topics.iter().find(is_bare).map(|(name, _)| name.as_str())
}

pub(crate) fn not_authorized(operation: &'static str, topic: &str) -> TopologyError {
    TopologyError::NotAuthorized(MissingPermission { operation, topic: topic.to_owned() })
}

fn names_of(topics: &[DesiredTopic]) -> Vec<String> {
    topics.iter().map(|topic| topic.name.clone()).collect()
}

/// librdkafka's metadata calls block, so they run where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    connection: &Arc<Connection>,
    work: impl FnOnce(&Connection) -> Result<T, TopologyError> + Send + 'static,
) -> Result<T, TopologyError> {
    let worker = Arc::clone(connection);
    tokio::task::spawn_blocking(move || work(&worker)).await.unwrap_or_else(|error| {
        let reason = format!("the work was interrupted: {error}");
        Err(connection.connection_error(Code::BrokerUnreachable, reason))
    })
}

fn connection_error(code: Code, brokers: &str, authority: Option<&str>, mut reason: String) -> TopologyError {
    if let (Code::BrokerTls, Some(authority)) = (code, authority) {
        reason.push_str(&format!(" (ssl.ca.location is {authority})"));
    }
    TopologyError::Connection { code, brokers: brokers.to_owned(), reason }
}
