//! The driver of stages whose state moves with their partitions. Each partition of the home topic is
//! the *home* of the keys in it: its owner alone holds their state and writes their changelog.
//!
//! Invariants:
//! 1. a home handles commands only after every record of its state was applied;
//! 2. commands of a home are handled one at a time, in the order of its partition; homes go on side by side;
//! 3. what a command changes is written (changelog and next requests) before its offset moves;
//! 4. when a write fails, the state in memory is dropped and restored, never reused;
//! 5. a revoked home writes nothing after the member has released its partition.

mod driver;
mod outbox;
mod pace;
mod remembered;
mod restoring;
mod round;
mod settle;
mod site;
mod too_large;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub use remembered::{Remembered, RememberedKey};
pub use site::{EmitError, HomeSite};

use crate::chaos::clock_offset;
use crate::error::StreamError;
use crate::member::Member;
use crate::record::{OutRecord, Record};
use crate::settings::KafkaSettings;
use crate::stage::StageError;
use driver::Driver;

/// Milliseconds since the epoch.
pub fn now_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX).saturating_add(clock_offset())
}

/// What a home wants done: records written and, once they are, something started.
#[derive(Default)]
pub struct Effects {
    pub records: Vec<OutRecord>,
    /// Runs when `records` are written. Must not block.
    pub then: Option<Box<dyn FnOnce() + Send>>,
    /// Nothing goes on because of these: they go out with others that come soon, if any do.
    pub may_wait: bool,
}

impl Effects {
    pub fn none() -> Self {
        Self::default()
    }

    pub fn of(records: Vec<OutRecord>) -> Self {
        Self { records, ..Self::default() }
    }
}

/// A command and the home it is for.
pub struct Addressed<C> {
    pub home: i32,
    pub command: C,
}

/// The state of one home partition. Called by one task at a time; never waits for Kafka. A call that
/// fails leaves the state as it was: it is made again.
pub trait Home: Send + 'static {
    type Command: Send + 'static;

    /// Takes one record of a state topic, in order; `topic` is its place in [`HomesConfig::state_topics`].
    ///
    /// # Errors
    /// A text when the record cannot be read; it is counted, logged and left alone.
    fn apply(
        &mut self,
        topic: usize,
        key: &Bytes,
        value: Option<Bytes>,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// All records were applied: hand out again what only memory knew.
    fn restored(&mut self, now: i64) -> impl Future<Output = Effects> + Send;

    /// Handles a command; `record` is the one that carried it.
    fn handle(
        &mut self,
        command: Self::Command,
        record: &Record,
        now: i64,
    ) -> impl Future<Output = Result<Effects, StageError>> + Send;

    /// When [`Home::on_timer`] wants to be called, in milliseconds since the epoch.
    fn next_timer(&self) -> Option<i64>;

    fn on_timer(&mut self, now: i64) -> impl Future<Output = Effects> + Send;
}

/// The logic of a stage with homes.
pub trait Homes: Send + 'static {
    type Command: Send + 'static;
    type Home: Home<Command = Self::Command>;

    fn open(&mut self, site: HomeSite) -> Self::Home;

    /// How many more commands may be taken on, with what is going on in the background. Records wait while there is no
    /// room, and when enough of them do, they stay in their topics.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Topics of which nothing is to be taken for now, because what was taken is not done yet. What is at hand of them
    /// is handled all the same.
    fn held_back(&mut self) -> HashSet<Arc<str>> {
        HashSet::new()
    }

    /// Reads a record and says which home its command is for; `None` when there is nothing to do.
    fn address(
        &mut self,
        record: &Record,
    ) -> impl Future<Output = Result<Option<Addressed<Self::Command>>, StageError>> + Send;

    /// The record that carries a command to a home that is not here.
    fn forward(&mut self, addressed: &Addressed<Self::Command>, record: &Record) -> Result<OutRecord, StageError>;

    /// What to write beside the dead letter of a record that was given up.
    fn given_up(&mut self, record: &Record, error: &StageError) -> impl Future<Output = Vec<OutRecord>> + Send;
}

/// Which topics make a stage with homes.
pub struct HomesConfig {
    pub kafka: KafkaSettings,
    /// Its partitions are the homes.
    pub home_topic: Arc<str>,
    /// Partition for partition the changelogs of the home topic, in the order in which they are read.
    pub state_topics: Vec<Arc<str>>,
    pub system_dead_letters: Arc<str>,
}

/// Runs `homes` until `stop` is cancelled and the work in flight is drained.
///
/// # Errors
/// [`StreamError`] when the member, its writing or a restore fails; the caller joins again, and all
/// state is restored.
pub async fn run<H: Homes>(
    mut member: Member,
    homes: H,
    config: HomesConfig,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let (mut driver, restored) = Driver::new(&member, homes, config, stop.clone());
    let result = driver.drive(&mut member, restored, stop).await;
    driver.cancel_all();
    member.ended().await;
    result
}
