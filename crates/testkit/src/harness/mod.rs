//! For tests of the whole product: the real binary as a child process, on a real Kafka.
//!
//! Everything here blocks and panics with what went wrong: it is for tests alone.

mod answer;
mod broker;
mod cluster;
mod document_server;
mod installation;
mod process;
mod proxy;
mod reaper;
mod records;
mod redis;
mod services;
mod wait;

pub use answer::Answer;
pub use broker::{Broker, broker};
pub use cluster::Cluster;
pub use document_server::DocumentServer;
pub use installation::Installation;
pub use process::Prunella;
pub use proxy::Proxy;
pub use records::{Kafka, ReadRecord};
pub use redis::Redis;
pub use services::{STEP_SERVICES, all_exactly_once};
pub use wait::{block_on, wait_until};
