//! One member of a consumer group: one `BaseConsumer` on one thread that owns the group and waits
//! neither on work nor on commits. Life of a partition here:
//!
//! assigned (a new epoch) → restoring, if it has state → flowing ⇄ throttled → revoked: work in
//! flight may finish within the drain timeout, its prefix is committed, the rest is forgotten and
//! taken again by the next owner.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use prunella_telemetry::emit;

use crate::assignment::{Assignment, Flow, Limits};
use crate::error::StreamError;
use crate::events::{ClientError, CommitDone, Lag, Load, PartitionsAssigned, PartitionsRevoked};
use crate::offsets::{AssignmentEpoch, NextOffset};
use crate::record::{Record, TopicPartition};
use crate::settings::{KafkaSettings, RuntimeSettings};

/// Longest time a poll waits for a record, and so the longest delay of a commit on an idle member.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// The same while partitions are throttled: their resumption must not wait for a record.
const THROTTLED_POLL: Duration = Duration::from_millis(2);
/// Records taken between two looks at the command queue.
const RECORDS_PER_TURN: usize = 256;

/// Who joins which group.
pub struct MemberConfig {
    /// Name of the stage, for logs and metrics.
    pub stage: String,
    pub group: String,
    pub topics: Vec<String>,
    /// Topics whose partitions do not flow before [`MemberHandle::restored`].
    pub restored_topics: Vec<String>,
    pub kafka: KafkaSettings,
    pub runtime: RuntimeSettings,
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
    Restored { source: TopicPartition, epoch: AssignmentEpoch },
    Subscribe(Vec<String>),
    Fail(StreamError),
    Stop,
}

/// A joined member. Dropping it stops the thread without draining; use [`MemberHandle::stop`].
pub struct Member {
    pub(crate) events: UnboundedReceiver<MemberEvent>,
    pub(crate) handle: MemberHandle,
    pub(crate) runtime: RuntimeSettings,
    thread: Option<JoinHandle<()>>,
}

/// Talks to the member's thread. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct MemberHandle {
    commands: Sender<Command>,
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
        self.command(Command::Complete { source, epoch, offset });
    }

    /// The state of this partition is restored: its records may flow.
    pub(crate) fn restored(&self, source: TopicPartition, epoch: AssignmentEpoch) {
        self.command(Command::Restored { source, epoch });
    }

    /// Replaces the topics of the subscription.
    pub fn subscribe(&self, topics: Vec<String>) {
        self.command(Command::Subscribe(topics));
    }

    /// Gives up: the driver ends with `error`, nothing more is committed.
    pub fn fail(&self, error: StreamError) {
        self.command(Command::Fail(error));
    }

    /// Takes no more records, waits for those in flight up to the drain timeout, commits, leaves.
    pub fn stop(&self) {
        self.command(Command::Stop);
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
        let (event_sender, events) = unbounded_channel();
        let (commands, command_receiver) = channel();
        let mut client = config.kafka.consumer_config()?;
        client.set("group.id", &config.group).set("statistics.interval.ms", "5000");
        let context = MemberContext {
            stage: config.stage.clone(),
            restored_topics: config.restored_topics.clone(),
            drain_timeout: config.runtime.drain_timeout.duration(),
            events: event_sender,
            inner: Mutex::new(Inner {
                assignment: Assignment::new(Limits {
                    partition_records: config.runtime.partition_records,
                    bytes: config.runtime.in_flight_bytes.as_usize(),
                }),
                commands: command_receiver,
                requests: Requests::default(),
            }),
        };
        let consumer: BaseConsumer<MemberContext> = client.create_with_context(context).map_err(client_error)?;
        subscribe(&consumer, &config.topics).map_err(client_error)?;
        let commit_interval = config.runtime.commit_interval.duration();
        let thread = std::thread::Builder::new()
            .name(format!("poll-{}", config.stage))
            .spawn(move || PollLoop::new(consumer, commit_interval).run())
            .map_err(|error| StreamError::Client { stage: config.stage.clone(), reason: error.to_string() })?;
        let handle = MemberHandle { commands, stage: config.stage.into(), group: config.group.into() };
        Ok(Self { events, handle, runtime: config.runtime, thread: Some(thread) })
    }

    pub fn handle(&self) -> MemberHandle {
        self.handle.clone()
    }

    /// Waits for the thread after [`MemberHandle::stop`] or a failure.
    pub(crate) async fn ended(mut self) {
        self.events.close();
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!(stage = %self.handle.stage, "the poll thread panicked");
            }
        }
    }
}

fn subscribe(consumer: &BaseConsumer<MemberContext>, topics: &[String]) -> KafkaResult<()> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)
}

/// What commands asked of the poll loop beyond the assignment itself.
#[derive(Default)]
struct Requests {
    resume: Vec<TopicPartition>,
    subscribe: Option<Vec<String>>,
    failure: Option<StreamError>,
    stop: bool,
}

struct Inner {
    assignment: Assignment,
    commands: Receiver<Command>,
    requests: Requests,
}

impl Inner {
    fn apply(&mut self, command: Command) {
        match command {
            Command::Complete { source, epoch, offset } => self.assignment.completed(&source, epoch, offset),
            Command::Restored { source, epoch } => {
                if self.assignment.restored(&source, epoch) {
                    self.requests.resume.push(source);
                }
            }
            Command::Subscribe(topics) => self.requests.subscribe = Some(topics),
            Command::Fail(error) => {
                self.requests.failure.get_or_insert(error);
            }
            Command::Stop => self.requests.stop = true,
        }
    }

    fn apply_queued(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.apply(command),
                Err(TryRecvError::Empty) => return,
                // All handles are gone: nobody can complete anything any more.
                Err(TryRecvError::Disconnected) => {
                    self.requests.stop = true;
                    return;
                }
            }
        }
    }
}

struct MemberContext {
    stage: String,
    restored_topics: Vec<String>,
    drain_timeout: Duration,
    events: UnboundedSender<MemberEvent>,
    /// Locked by the poll thread alone: in its loop, and in the rebalance callbacks that run inside
    /// its polls.
    inner: Mutex<Inner>,
}

impl MemberContext {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: MemberEvent) {
        if self.events.send(event).is_err() {
            tracing::trace!(stage = %self.stage, "driver has ended");
        }
    }

    /// Applies commands until nothing is in flight of `partitions` (all, if `None`) or time is up.
    fn drain(&self, partitions: Option<&[TopicPartition]>) -> usize {
        let deadline = Instant::now() + self.drain_timeout;
        let mut inner = self.inner();
        loop {
            inner.apply_queued();
            let open = match partitions {
                Some(partitions) => inner.assignment.open_of(partitions),
                None => inner.assignment.open(),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if open == 0 || left.is_zero() {
                return open;
            }
            match inner.commands.recv_timeout(left) {
                Ok(command) => inner.apply(command),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return open,
            }
        }
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: &[TopicPartition]) {
        let mut restoring = TopicPartitionList::new();
        let mut assigned = Vec::with_capacity(partitions.len());
        let mut inner = self.inner();
        for partition in partitions {
            let must_restore = self.restored_topics.iter().any(|topic| **topic == *partition.topic);
            if must_restore {
                restoring.add_partition(&partition.topic, partition.partition);
            }
            assigned.push((partition.clone(), inner.assignment.assign(partition.clone(), must_restore)));
        }
        let owned = inner.assignment.partitions().len();
        drop(inner);
        if restoring.count() > 0
            && let Err(error) = consumer.pause(&restoring)
        {
            emit(ClientError { client: &self.stage, error: &error, reason: "pause before restore" });
        }
        emit(PartitionsAssigned { stage: &self.stage, partitions, owned });
        self.tell(MemberEvent::Assigned(assigned));
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: Vec<TopicPartition>) {
        let lost = consumer.assignment_lost();
        let (released, release) = sync_channel(1);
        self.tell(MemberEvent::Revoked { partitions: partitions.clone(), released });
        // A lost partition has a new owner already: its work in flight is for nothing.
        let undone = if lost { self.inner().assignment.open_of(&partitions) } else { self.drain(Some(&partitions)) };
        if release.recv_timeout(self.drain_timeout).is_err() {
            tracing::warn!(stage = %self.stage, "work on revoked partitions did not stop in time");
        }
        let mut inner = self.inner();
        inner.apply_queued();
        let commits = inner.assignment.take_commits(Some(&partitions));
        for partition in &partitions {
            inner.assignment.forget(partition);
        }
        let owned = inner.assignment.partitions().len();
        drop(inner);
        if !lost {
            commit(consumer, &self.stage, &commits, CommitMode::Sync);
        }
        emit(PartitionsRevoked { stage: &self.stage, partitions: &partitions, owned, lost, undone });
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    // `elements()` of an empty list panics.
    if list.count() == 0 {
        return Vec::new();
    }
    list.elements()
        .iter()
        .map(|element| TopicPartition { topic: element.topic().into(), partition: element.partition() })
        .collect()
}

fn commit(
    consumer: &BaseConsumer<MemberContext>,
    stage: &str,
    commits: &[(TopicPartition, NextOffset)],
    mode: CommitMode,
) {
    if commits.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::new();
    for (partition, next) in commits {
        let offset = Offset::Offset(next.as_commit());
        if let Err(error) = list.add_partition_offset(&partition.topic, partition.partition, offset) {
            emit(CommitDone { stage, error: Some(&error) });
        }
    }
    // An asynchronous commit reports through `commit_callback`.
    if let Err(error) = consumer.commit(&list, mode) {
        emit(CommitDone { stage, error: Some(&error) });
        consumer.context().commit_not_done(&list);
    }
}

impl MemberContext {
    fn commit_not_done(&self, list: &TopicPartitionList) {
        let mut inner = self.inner();
        for partition in partitions_of(list) {
            inner.assignment.commit_failed(&partition);
        }
    }
}

impl ClientContext for MemberContext {
    fn error(&self, error: KafkaError, reason: &str) {
        emit(ClientError { client: &self.stage, error: &error, reason });
    }

    fn stats(&self, statistics: Statistics) {
        for (topic, figures) in &statistics.topics {
            let lag = figures.partitions.values().map(|partition| partition.consumer_lag.max(0)).sum();
            emit(Lag { stage: &self.stage, topic, records: lag });
        }
    }
}

impl ConsumerContext for MemberContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let partitions = partitions_of(list);
            if !partitions.is_empty() {
                self.revoked(consumer, partitions);
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                let partitions = partitions_of(list);
                if !partitions.is_empty() {
                    self.assigned(consumer, &partitions);
                }
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => emit(ClientError { client: &self.stage, error, reason: "rebalance" }),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => emit(CommitDone { stage: &self.stage, error: None }),
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                emit(CommitDone { stage: &self.stage, error: Some(&error) });
                self.commit_not_done(offsets);
            }
        }
    }
}

struct PollLoop {
    consumer: BaseConsumer<MemberContext>,
    commit_interval: Duration,
    last_commit: Instant,
    topics: HashMap<String, Arc<str>>,
}

impl PollLoop {
    fn new(consumer: BaseConsumer<MemberContext>, commit_interval: Duration) -> Self {
        Self { consumer, commit_interval, last_commit: Instant::now(), topics: HashMap::new() }
    }

    fn run(mut self) {
        loop {
            let requests = self.take_requests();
            if let Some(error) = requests.failure {
                return self.consumer.context().tell(MemberEvent::Failed(error));
            }
            if requests.stop {
                return self.stop();
            }
            if let Some(topics) = requests.subscribe
                && let Err(error) = subscribe(&self.consumer, &topics)
            {
                emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "subscribe" });
            }
            self.resume(&requests.resume);
            if self.last_commit.elapsed() >= self.commit_interval {
                self.commit_progress();
            }
            if let Err(error) = self.poll_turn() {
                return self.consumer.context().tell(MemberEvent::Failed(error));
            }
        }
    }

    fn take_requests(&mut self) -> Requests {
        let mut inner = self.consumer.context().inner();
        inner.apply_queued();
        let resumable = inner.assignment.take_resumable();
        let mut requests = std::mem::take(&mut inner.requests);
        requests.resume.extend(resumable);
        requests
    }

    fn commit_progress(&mut self) {
        self.last_commit = Instant::now();
        let context = self.consumer.context();
        let mut inner = context.inner();
        let commits = inner.assignment.take_commits(None);
        let assignment = &inner.assignment;
        emit(Load {
            stage: &context.stage,
            records: assignment.open(),
            bytes: assignment.open_bytes(),
            paused: assignment.throttled(),
        });
        drop(inner);
        commit(&self.consumer, &context.stage, &commits, CommitMode::Async);
    }

    fn poll_turn(&mut self) -> Result<(), StreamError> {
        let throttled = self.consumer.context().inner().assignment.any_throttled();
        let mut wait = if throttled { THROTTLED_POLL } else { IDLE_POLL };
        for _ in 0..RECORDS_PER_TURN {
            // The context is shared; the borrow of a message must not keep `self` from being used.
            let consumer = &self.consumer;
            match consumer.poll(wait) {
                None => return Ok(()),
                Some(Ok(message)) => {
                    let topic = match self.topics.get(message.topic()) {
                        Some(topic) => topic.clone(),
                        None => {
                            let topic: Arc<str> = message.topic().into();
                            self.topics.insert(message.topic().to_owned(), topic.clone());
                            topic
                        }
                    };
                    let source = TopicPartition { topic: topic.clone(), partition: message.partition() };
                    let context = consumer.context();
                    let mut inner = context.inner();
                    // Not ours (any more): it is read again by whoever owns it.
                    let Some(epoch) = inner.assignment.epoch(&source) else { continue };
                    let record = Record::from_message(&message, topic, epoch);
                    let flow = inner.assignment.taken(&source, record.offset, record.size());
                    drop(inner);
                    context.tell(MemberEvent::Record(record));
                    if flow == Flow::Pause {
                        self.pause(&source);
                    }
                }
                Some(Err(error)) => self.poll_error(error)?,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn poll_error(&self, error: KafkaError) -> Result<(), StreamError> {
        let stage = &self.consumer.context().stage;
        let gives_up = match &error {
            KafkaError::MessageConsumptionFatal(_) => true,
            KafkaError::MessageConsumption(code) => {
                matches!(code, RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed)
            }
            _ => false,
        };
        if gives_up {
            return Err(StreamError::Group { stage: stage.clone(), reason: error.to_string() });
        }
        emit(ClientError { client: stage, error: &error, reason: "poll" });
        Ok(())
    }

    fn pause(&self, partition: &TopicPartition) {
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        if let Err(error) = self.consumer.pause(&list) {
            emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "pause" });
        }
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        if partitions.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&partition.topic, partition.partition);
        }
        if let Err(error) = self.consumer.resume(&list) {
            emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "resume" });
        }
    }

    /// Drain, commit, leave. Dropping the consumer leaves the group; its revocations find nothing in flight.
    fn stop(self) {
        let context = self.consumer.context().clone();
        let undone = context.drain(None);
        let commits = context.inner().assignment.take_commits(None);
        commit(&self.consumer, &context.stage, &commits, CommitMode::Sync);
        tracing::info!(stage = %context.stage, undone, "stage stopped");
        drop(self.consumer);
    }
}
