//! How a local Kafka is to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use prunella_model::ByteSize;

use crate::environment::Environment;
use crate::error::LocalKafkaError;

#[derive(Debug, Clone)]
pub struct LocalKafkaConfig {
    /// Holds the log of every topic, the settings and what the broker says; survives restarts.
    pub data_dir: PathBuf,
    /// `None` picks a free port and keeps it for this data directory as long as nobody else takes it.
    pub port: Option<u16>,
    pub security: Security,
    /// The largest heap of the broker.
    pub heap: ByteSize,
    /// Broker settings by name; they win over ours except for the few that this crate depends on.
    pub extra_properties: BTreeMap<String, String>,
    pub environment: Environment,
    /// For one attempt to start.
    pub start_timeout: Duration,
    /// For an orderly end, before the broker is killed.
    pub stop_timeout: Duration,
    /// Free space on the disk of the data directory, without which the broker is not started.
    pub min_free_space: ByteSize,
    /// Its place among the brokers of a [`LocalCluster`](crate::LocalCluster); `None` is a broker alone.
    pub(crate) seat: Option<Seat>,
}

/// What a broker of a cluster has to know before the first of them runs. Ports are on the loopback interface.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) node_id: u32,
    pub(crate) cluster_id: String,
    /// Of every node, in the order of node ids, which count from 1.
    pub(crate) controller_ports: Vec<u16>,
    /// Where the other brokers reach it.
    pub(crate) internal_port: u16,
    /// What it tells its clients to connect to.
    pub(crate) advertised_port: u16,
}

impl Seat {
    pub(crate) fn controller_port(&self) -> Option<u16> {
        self.controller_ports.get(self.node_id as usize - 1).copied()
    }
}

impl LocalKafkaConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            security: Security::Plain,
            heap: ByteSize::from_mib(256),
            extra_properties: BTreeMap::new(),
            environment: Environment::of_process(),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(30),
            min_free_space: ByteSize::from_mib(512),
            seat: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), LocalKafkaError> {
        if let Some((name, value)) = self.extra_properties.iter().find(|(name, _)| OWNED.contains(&name.as_str())) {
            return Err(setting(name, value, "it is set from the data directory and the ports"));
        }
        if self.data_dir.to_string_lossy().contains([',', '\n']) {
            return Err(setting("data_dir", &self.data_dir.to_string_lossy(), "Kafka separates directories by commas"));
        }
        if let Security::SaslSsl { users } = &self.security {
            users.iter().try_for_each(Credentials::validate)?;
        }
        Ok(())
    }
}

const OWNED: &[&str] = &[
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "node.id",
    "process.roles",
];

/// Who may connect. Every listener is on the loopback interface only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Security {
    /// One listener without passwords.
    #[default]
    Plain,
    /// A second listener with TLS and SCRAM-SHA-256, and ACLs in force: the administrator may do everything, `users` nothing
    /// until an ACL allows it, whoever comes by the plain listener everything. Fixed when a data directory is first used.
    SaslSsl { users: Vec<Credentials> },
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    fn validate(&self) -> Result<(), LocalKafkaError> {
        let allowed = |text: &str| {
            !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
        };
        if !allowed(&self.user) {
            return Err(setting("user", &self.user, "write letters, digits, '-', '_' and '.'"));
        }
        if !allowed(&self.password) {
            return Err(setting("password", "(hidden)", "write letters, digits, '-', '_' and '.'"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"(hidden)").finish()
    }
}

pub(crate) fn setting(name: &str, value: &str, reason: &str) -> LocalKafkaError {
    LocalKafkaError::Setting { name: name.to_owned(), value: value.to_owned(), reason: reason.to_owned() }
}
