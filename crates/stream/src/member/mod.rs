//! One member of a consumer group: one `BaseConsumer` on one thread that owns the group and waits
//! neither on work nor on commits. Life of a partition here:
//!
//! assigned (a new epoch) → restoring, if it has state → flowing ⇄ throttled → revoked: work in
//! flight may finish within the drain timeout, its prefix is committed, the rest is forgotten and
//! taken again by the next owner.
//!
//! At-least-once members commit offsets here, behind what is written; those of exactly-once members
//! are part of the transactions that their transactor makes.

mod context;
mod poll;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) use context::MemberContext;

use crate::assignment::{Assignment, Limits};
use crate::chaos::{self, Point};
use crate::error::StreamError;
use crate::memory::MemoryBudget;
use crate::offsets::AssignmentEpoch;
use crate::outlet::Outlet;
use crate::output::Output;
use crate::processing::TransactionSettings;
use crate::record::{Record, TopicPartition};
use crate::rewind::Rewinds;
use crate::settings::{KafkaSettings, RuntimeSettings};
use crate::sizes::RefusedSizes;
use crate::transaction::TransactionalProducer;
use crate::transactor::{Transactor, transactor};
use context::{Inner, Requests};
use poll::{PollLoop, Transactions, subscribe};

const LOOK: Duration = Duration::from_millis(20);

/// Who joins which group.
pub struct MemberConfig {
    /// Name of the stage, for logs and metrics.
    pub stage: String,
    pub group: String,
    pub topics: Vec<String>,
    /// Topics whose partitions do not flow before [`MemberHandle::restored`].
    pub restored_topics: Vec<String>,
    /// Whether records that are read again because somebody rewound the group are told from others, on the other topics.
    pub notices_rewinds: bool,
    pub kafka: KafkaSettings,
    pub runtime: RuntimeSettings,
    pub memory: MemoryBudget,
    pub writing: Writing,
}

/// How a member writes what its stage hands it.
pub enum Writing {
    /// At least once, through the producer of the process.
    AtLeastOnce(Output),
    /// Exactly once, through a producer of its own.
    ExactlyOnce {
        /// The transactional id: the same for the same slot of the same service, whenever it runs.
        id: String,
        settings: TransactionSettings,
        refused: RefusedSizes,
    },
}

/// What the driver of a stage hears from its member, in order.
pub(crate) enum MemberEvent {
    Record(Record),
    Assigned(Vec<(TopicPartition, AssignmentEpoch)>),
    /// The driver stops work on these partitions and sends on `released` when it has.
    Revoked {
        partitions: Vec<TopicPartition>,
        released: SyncSender<()>,
    },
    Failed(StreamError),
}

enum Command {
    Complete { source: TopicPartition, epoch: AssignmentEpoch, offset: i64 },
    GiveBack { source: TopicPartition, epoch: AssignmentEpoch, offset: i64 },
    Restored { source: TopicPartition, epoch: AssignmentEpoch },
    Subscribe(Vec<String>),
    HoldBack(HashSet<Arc<str>>),
    Fail(StreamError),
    Stop,
}

/// A joined member. Dropping it stops it, as [`MemberHandle::stop`] does, without waiting for the end.
pub struct Member {
    pub(crate) events: UnboundedReceiver<MemberEvent>,
    pub(crate) handle: MemberHandle,
    pub(crate) runtime: RuntimeSettings,
    pub(crate) outlet: Outlet,
    thread: Option<JoinHandle<()>>,
    deadline: Option<tokio::time::Instant>,
}

/// Talks to the member's thread. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct MemberHandle {
    commands: Sender<Command>,
    stopping: Arc<AtomicBool>,
    stage: Arc<str>,
    group: Arc<str>,
}

impl MemberHandle {
    pub fn stage(&self) -> &str {
        &self.stage
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    /// The outcome of this record is durable.
    pub fn complete(&self, record: &Record) {
        self.complete_at(record.source.clone(), record.epoch, record.offset);
    }

    pub(crate) fn complete_at(&self, source: TopicPartition, epoch: AssignmentEpoch, offset: i64) {
        chaos::at(&self.stage, Point::Delivered);
        self.command(Command::Complete { source, epoch, offset });
    }

    /// Nothing will come of this record here: its partition goes, or the member stops.
    pub(crate) fn give_back(&self, record: &Record) {
        let (source, epoch, offset) = (record.source.clone(), record.epoch, record.offset);
        self.command(Command::GiveBack { source, epoch, offset });
    }

    /// The state of this partition is restored: its records may flow.
    pub(crate) fn restored(&self, source: TopicPartition, epoch: AssignmentEpoch) {
        self.command(Command::Restored { source, epoch });
    }

    /// Replaces the topics of the subscription.
    pub fn subscribe(&self, topics: Vec<String>) {
        self.command(Command::Subscribe(topics));
    }

    /// Takes nothing from these topics until it is called without them.
    pub(crate) fn hold_back(&self, topics: HashSet<Arc<str>>) {
        self.command(Command::HoldBack(topics));
    }

    /// Gives up: the driver ends with `error`, nothing more is committed.
    pub fn fail(&self, error: StreamError) {
        self.stopping.store(true, Ordering::Relaxed);
        self.command(Command::Fail(error));
    }

    /// Takes no more records, waits for those in flight up to the drain timeout, commits, leaves.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.command(Command::Stop);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn command(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::trace!(stage = %self.stage, "member has ended");
        }
    }
}

impl Member {
    /// Joins the group on a thread of its own.
    ///
    /// # Errors
    /// [`StreamError`] when the settings cannot be used. Kafka need not be there yet.
    pub fn join(config: MemberConfig) -> Result<Self, StreamError> {
        let client_error =
            |error: KafkaError| StreamError::Client { stage: config.stage.clone(), reason: error.to_string() };
        let thread_error =
            |error: std::io::Error| StreamError::Client { stage: config.stage.clone(), reason: error.to_string() };
        let (event_sender, events) = unbounded_channel();
        let (commands, command_receiver) = channel();
        let handle = MemberHandle {
            commands,
            stopping: Arc::default(),
            stage: config.stage.as_str().into(),
            group: config.group.as_str().into(),
        };
        let mut client = config.kafka.consumer_config()?;
        client.set("group.id", &config.group).set("statistics.interval.ms", "5000");
        let (outlet, transactions) = match config.writing {
            Writing::AtLeastOnce(output) => (Outlet::AtLeastOnce(output), None),
            Writing::ExactlyOnce { id, settings, refused } => {
                let producer = TransactionalProducer::new(&config.kafka, &settings, &id, &config.stage)?;
                let (handle, messages, state) = transactor(refused.clone());
                (Outlet::ExactlyOnce(handle.clone()), Some((handle, messages, state, producer, settings, refused)))
            }
        };
        let limits =
            Limits { records: config.runtime.in_flight_records, bytes: config.runtime.in_flight_bytes.as_usize() };
        let context = MemberContext {
            stage: config.stage.clone(),
            restored_topics: config.restored_topics.clone(),
            drain_timeout: config.runtime.drain_timeout.duration(),
            events: event_sender,
            transactor: transactions.as_ref().map(|(handle, ..)| handle.clone()),
            inner: Mutex::new(Inner {
                assignment: Assignment::new(limits, &config.memory),
                commands: command_receiver,
                requests: Requests::default(),
                rewinds: config.notices_rewinds.then(Rewinds::default),
            }),
        };
        let consumer: BaseConsumer<MemberContext> = client.create_with_context(context).map_err(client_error)?;
        subscribe(&consumer, &config.topics).map_err(client_error)?;
        let consumer = Arc::new(consumer);
        let transactions = match transactions {
            None => None,
            Some((handle_of_it, messages, state, producer, settings, refused)) => {
                let (consumer, member) = (Arc::downgrade(&consumer), handle.clone());
                let timeout = settings.timeout.duration();
                let transactor = Transactor { messages, producer, state, consumer, member, settings, refused };
                let thread = transactor.spawn().map_err(thread_error)?;
                Some(Transactions { transactor: handle_of_it, thread, timeout })
            }
        };
        let commit_interval = config.runtime.commit_interval.duration();
        let thread = std::thread::Builder::new()
            .name(format!("poll-{}", config.stage))
            .spawn(move || PollLoop::new(consumer, commit_interval, transactions).run())
            .map_err(thread_error)?;
        Ok(Self { events, handle, runtime: config.runtime, outlet, thread: Some(thread), deadline: None })
    }

    pub fn handle(&self) -> MemberHandle {
        self.handle.clone()
    }

    /// Stops as [`MemberHandle::stop`] does; from now on its end is waited for.
    pub(crate) fn stop(&mut self) {
        self.handle.stop();
        self.deadline.get_or_insert_with(|| tokio::time::Instant::now() + self.runtime.longest_end());
    }

    /// Ends when a member that was stopped should have ended long ago: its events may never do.
    pub(crate) fn overdue(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.deadline;
        async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Stops, and waits for the thread, but not for ever: a client that leaves its group while partitions come to it may
    /// never end (librdkafka#4884). It is left behind then: its work is done, and Kafka gives what it holds to others
    /// once the process has ended, or after `max.poll.interval.ms`.
    pub(crate) async fn ended(mut self) {
        self.stop();
        self.events.close();
        let overdue = self.overdue();
        if let Some(thread) = self.thread.take() {
            match thread_ended(thread, overdue).await {
                Some(Ok(())) => {}
                Some(Err(_)) => tracing::error!(stage = %self.handle.stage, "the poll thread panicked"),
                None => tracing::error!(
                    stage = %self.handle.stage,
                    "the client does not leave its group and is left behind; what it holds goes to others after max.poll.interval.ms"
                ),
            }
        }
    }
}

/// What came of a thread; `None` when it has not ended before it is `overdue`.
async fn thread_ended(thread: JoinHandle<()>, overdue: impl Future<Output = ()>) -> Option<std::thread::Result<()>> {
    // Not joined on a thread of the runtime, which would wait for it when the process ends.
    let ends = async {
        while !thread.is_finished() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = ends => {}
        () = overdue => return None,
    }
    Some(thread.join())
}

impl Drop for Member {
    fn drop(&mut self) {
        self.handle.stop();
    }
}
