//! The stage runtime: everything between a stage's logic and Kafka.
//!
//! A service joins its consumer group with a [`Member`] and hands it to a driver: [`sharded::run`] for
//! stages without state, [`homes::run`] for stages whose state moves with their partitions. The driver
//! calls the stage and routes outcomes; the member polls, tracks offsets and commits.

mod assignment;
pub mod chaos;
mod dead_letter;
mod error;
mod events;
pub mod homes;
mod member;
mod membership;
mod memory;
mod offsets;
mod outlet;
mod output;
mod processing;
mod record;
mod restore;
mod retry;
mod rewind;
mod settings;
pub mod sharded;
mod sizes;
mod sole_writer;
mod stage;
mod supervise;
mod tail;
mod transaction;
mod transactor;
mod workbench;

pub use dead_letter::DeadLetter;
pub use error::StreamError;
pub use member::{Member, MemberConfig, MemberHandle, Writing};
pub use memory::MemoryBudget;
pub use offsets::{AssignmentEpoch, NextOffset, PartitionTracker};
pub use output::{Output, OutputError};
pub use processing::{Guarantee, TransactionSettings};
pub use record::{OutRecord, Record, TopicPartition};
pub use restore::{StateRecord, restore_partitions};
pub use retry::Backoff;
pub use settings::{KafkaSettings, RuntimeSettings, secret};
pub use sizes::RefusedSizes;
pub use sole_writer::SoleWriter;
pub use stage::{Outcome, Stage, StageError};
pub use supervise::supervise;
pub use tail::{Tail, TailFrom, Tailed, TailedRecord};
pub use workbench::Workbench;
