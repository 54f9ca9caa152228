//! What an operator does to an installation that runs: look after dead letters, do work again, count.
//!
//! Everything here is read from Kafka and written to Kafka. What is decided is written in the transaction that carries it
//! out, to `state.operations`, so that a command that is killed has done a thing or has not, and does it once when it is
//! given again.

pub mod audit;
mod desk;
pub mod doctor;
mod error;
mod ledger;
pub mod letters;
mod mapper;
pub mod mappings;
mod offsets;
mod pace;
mod queues;
pub mod replay;
mod scan;
mod top;

pub use desk::Desk;
pub use error::OperateError;
pub use ledger::Ledger;
pub use offsets::{Bounds, Offsets};
pub use pace::Pace;
pub use queues::{Queue, Reading, queues};
pub use scan::Scan;
pub use top::{Activity, NameActivity, Snapshot, StageActivity};
