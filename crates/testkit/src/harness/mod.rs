//! For tests of the whole product: the real binary as a child process, on a real Kafka.
//!
//! Everything here blocks and panics with what went wrong: it is for tests alone.

mod answer;
mod broker;
mod document_server;
mod installation;
mod process;
mod reaper;
mod records;
mod wait;

pub use answer::Answer;
pub use broker::{Broker, broker};
pub use document_server::DocumentServer;
pub use installation::Installation;
pub use process::Prunella;
pub use records::{Kafka, ReadRecord};
pub use wait::{block_on, wait_until};
