use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prunella_localkafka::{Credentials, LocalKafka, LocalKafkaConfig, Security};
use prunella_topology::{Cluster, DesiredTopic, TopicsConfig, Topology};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tempfile::TempDir;

pub(crate) const USER: &str = "limited";
pub(crate) const PASSWORD: &str = "limited-secret";

/// One broker for all tests that run at the same time; it ends with the last of them.
pub(crate) struct Kafka {
    pub(crate) broker: LocalKafka,
    _data: TempDir,
}

pub(crate) fn kafka() -> Arc<Kafka> {
    static RUNNING: Mutex<Weak<Kafka>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kafka) = running.upgrade() {
        return kafka;
    }
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut config = LocalKafkaConfig::new(data.path());
    config.security = Security::SaslSsl { users: vec![Credentials::new(USER, PASSWORD)] };
    let broker = LocalKafka::start(config, &|progress| println!("{progress}")).expect("the local Kafka starts");
    let kafka = Arc::new(Kafka { broker, _data: data });
    *running = Arc::downgrade(&kafka);
    kafka
}

impl Kafka {
    pub(crate) fn plain(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.bootstrap_servers());
        config
    }

    pub(crate) fn secured(&self, user: &str, password: &str) -> ClientConfig {
        let listener = self.broker.secured().expect("started with a secured listener");
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &listener.bootstrap_servers)
            .set("security.protocol", "SASL_SSL")
            .set("sasl.mechanism", "SCRAM-SHA-256")
            .set("sasl.username", user)
            .set("sasl.password", password)
            .set("ssl.ca.location", listener.ca_file.to_str().expect("a path in UTF-8"));
        config
    }

    pub(crate) async fn cluster(&self) -> Cluster {
        Cluster::connect(&self.plain(), Duration::from_secs(10)).await.expect("the broker answers")
    }

    pub(crate) async fn create_by_hand(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.plain().create().expect("a client");
        let new = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let created = admin.create_topics([&new], &options).await.expect("an answer");
        created.into_iter().for_each(|result| drop(result.expect("created")));
        // The controller answers before the broker knows the topic.
        let cluster = self.cluster().await;
        for _ in 0..200 {
            let shape = cluster.describe(&[name.to_owned()]).await.expect("described");
            if shape.topics.get(name).is_some_and(|topic| topic.partitions == partitions) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} does not become visible");
    }

    /// Kafka's own tool, as an administrator would use it.
    pub(crate) fn grant(&self, operation: &str, prefix: &str) {
        let status = self
            .broker
            .tool("org.apache.kafka.tools.AclCommand")
            .args(["--bootstrap-server", &self.broker.bootstrap_servers(), "--add"])
            .args(["--allow-principal", &format!("User:{USER}"), "--operation", operation])
            .args(["--topic", prefix, "--resource-pattern-type", "prefixed"])
            .status()
            .expect("the tool runs");
        assert!(status.success(), "granting {operation} on {prefix}");
    }
}

/// Topics of their own for every test, few partitions to be quick.
pub(crate) fn config() -> TopicsConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    TopicsConfig { prefix: format!("test{number}."), partitions: Some(2), ..TopicsConfig::default() }
}

pub(crate) fn topology(config: &TopicsConfig) -> Topology {
    Topology::new(config.clone()).expect("a valid configuration")
}

/// Shared topics and those of one workflow.
pub(crate) fn all_topics(config: &TopicsConfig) -> Vec<DesiredTopic> {
    let topology = topology(config);
    let workspace = "default".parse().expect("a valid name");
    let workflow = "orders".parse().expect("a valid name");
    let mut topics = topology.shared_topics();
    topics.extend(topology.workflow_topics(&workspace, &workflow));
    topics
}
