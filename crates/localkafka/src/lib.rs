//! Apache Kafka, and a schema registry, as managed child processes: for `demo`, for `up` and for tests.
//!
//! Everything here blocks; call it from a thread that may wait.

mod archive;
mod broker;
mod bundle;
mod cluster;
mod config;
mod data_dir;
mod environment;
mod error;
mod installation;
mod java;
mod launch;
mod log_tail;
mod maven;
mod ports;
mod process;
mod process_identity;
mod progress;
mod properties;
mod random;
mod registry;
mod secured;

pub use broker::LocalKafka;
pub use cluster::{LocalCluster, LocalClusterConfig};
pub use config::{Credentials, LocalKafkaConfig, Security};
pub use environment::Environment;
pub use error::LocalKafkaError;
pub use progress::Progress;
pub use registry::{LocalRegistry, LocalRegistryConfig};
pub use secured::SecuredListener;
