use std::process::Command;
use std::sync::OnceLock;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig, SecuredListener, Security};

use super::reaper;
use super::records::Kafka;

/// A local Kafka that ends with this process, and whose data goes with it.
pub struct Broker {
    kafka: LocalKafka,
}

/// The broker of all tests of this process that need nothing special.
pub fn broker() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(|| Broker::start(Security::Plain))
}

impl Broker {
    /// A broker of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(security: Security) -> Self {
        let data = tempfile::Builder::new().prefix("prunella-test-kafka-").tempdir().expect("a directory").keep();
        reaper::directory(&data);
        let mut config = LocalKafkaConfig::new(data);
        config.security = security;
        // So that a killed member can be noticed within a second or two.
        config.extra_properties.insert("group.min.session.timeout.ms".to_owned(), "1000".to_owned());
        // Room for records of 60 MB.
        config.heap = "640MiB".parse().expect("a size");
        let kafka = LocalKafka::start(config, &|progress| eprintln!("{progress}")).expect("the local Kafka starts");
        Self { kafka }
    }

    /// `127.0.0.1:port` of the listener without passwords.
    pub fn bootstrap_servers(&self) -> String {
        self.kafka.bootstrap_servers()
    }

    /// The listener with TLS and passwords, of a broker that was started with one.
    pub fn secured(&self) -> Option<&SecuredListener> {
        self.kafka.secured()
    }

    /// One of Kafka's own tools by its main class.
    pub fn tool(&self, main_class: &str) -> Command {
        self.kafka.tool(main_class)
    }

    /// A plain Kafka client.
    pub fn client(&self) -> Kafka {
        Kafka::new(self.bootstrap_servers())
    }
}
