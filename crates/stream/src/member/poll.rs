//! The thread of a member.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Message, TopicPartitionList};

use prunella_telemetry::emit;

use super::context::{MemberContext, Requests, commit};
use super::{LOOK, MemberEvent};
use crate::assignment::Flow;
use crate::chaos::{self, Point, Sabotage, sabotaged};
use crate::error::StreamError;
use crate::events::{ClientError, Load};
use crate::record::{Record, TopicPartition};
use crate::transactor::TransactorHandle;

/// Longest time a poll waits for a record, and so the longest delay of a commit on an idle member.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// The same while partitions are throttled: their resumption must not wait for a record.
const THROTTLED_POLL: Duration = Duration::from_millis(2);
/// Longest wait for work in flight before partitions are paused instead. A pause throws away what the client has
/// fetched already, so work that is quick is waited for; the group does not notice.
const LONGEST_HOLD: Duration = Duration::from_millis(50);
/// Records taken between two looks at the command queue.
const RECORDS_PER_TURN: usize = 256;

pub(super) fn subscribe(consumer: &BaseConsumer<MemberContext>, topics: &[String]) -> KafkaResult<()> {
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)
}

fn list_of(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// A transaction that takes this many times its timeout will not end: Kafka has aborted it long ago.
const HOPELESS_AFTER_TIMEOUTS: u32 = 3;

/// The transactions of an exactly-once member, made by a thread of their own.
pub(super) struct Transactions {
    pub(super) transactor: TransactorHandle,
    pub(super) thread: JoinHandle<()>,
    pub(super) timeout: Duration,
}

impl Transactions {
    /// Why this member has to be given up, if it has.
    fn failure(&self, stage: &str) -> Option<StreamError> {
        let busy = self.transactor.busy();
        (busy > self.timeout * HOPELESS_AFTER_TIMEOUTS).then(|| StreamError::Transaction {
            stage: stage.to_owned(),
            reason: format!("no answer from Kafka for {} s", busy.as_secs()),
        })
    }

    /// Waits for the thread, but not for ever: calls of the client may wait for a broker that never answers. A
    /// thread left behind has been given up, or ends what its successor fences off; it ends when its call does.
    fn end(self, stage: &str) {
        self.transactor.stop();
        let deadline = Instant::now() + self.timeout;
        while !self.thread.is_finished() {
            if Instant::now() > deadline {
                return tracing::warn!(stage, "a transaction does not end and is left to its successor");
            }
            std::thread::sleep(LOOK);
        }
        if self.thread.join().is_err() {
            tracing::error!(stage, "the transaction thread panicked");
        }
    }
}

pub(super) struct PollLoop {
    consumer: Arc<BaseConsumer<MemberContext>>,
    /// Of an exactly-once member.
    transactions: Option<Transactions>,
    commit_interval: Duration,
    last_commit: Instant,
    topics: HashMap<String, Arc<str>>,
}

impl PollLoop {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<MemberContext>>,
        commit_interval: Duration,
        transactions: Option<Transactions>,
    ) -> Self {
        Self { consumer, transactions, commit_interval, last_commit: Instant::now(), topics: HashMap::new() }
    }

    pub(super) fn run(mut self) {
        let failure = self.poll_until_the_end();
        if failure.is_none() {
            self.drain();
            self.leave();
        }
        if let Some(error) = failure {
            if let Some(transactions) = &self.transactions {
                transactions.transactor.give_up();
            }
            self.consumer.context().inner().requests.failed = true;
            self.consumer.context().tell(MemberEvent::Failed(error));
        }
        // The consumer must be dropped here, on the thread that answers its rebalances.
        if let Some(transactions) = self.transactions.take() {
            transactions.end(&self.consumer.context().stage);
        }
    }

    /// Polls until a stop is asked for, or something fails.
    fn poll_until_the_end(&mut self) -> Option<StreamError> {
        loop {
            let requests = self.take_requests();
            if requests.failure.is_some() {
                return requests.failure;
            }
            let stuck = |transactions: &Transactions| transactions.failure(&self.consumer.context().stage);
            if let Some(failure) = self.transactions.as_ref().and_then(stuck) {
                return Some(failure);
            }
            if requests.stop {
                return None;
            }
            if let Some(topics) = requests.subscribe
                && let Err(error) = subscribe(&self.consumer, &topics)
            {
                emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "subscribe" });
            }
            self.pause(&requests.pause);
            self.resume(&requests.resume);
            if self.last_commit.elapsed() >= self.commit_interval {
                self.commit_progress();
            }
            self.pause(&self.consumer.context().hold(LONGEST_HOLD));
            if let Err(error) = self.poll_turn() {
                return Some(error);
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
        let commits = if context.transactor.is_none() { inner.assignment.take_commits(None) } else { Vec::new() };
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
                    let mut record = Record::from_message(&message, topic, epoch);
                    let (sequence, flow) = inner.assignment.taken(&source, record.offset, record.size());
                    record.sequence = sequence;
                    record.replay = inner.rewinds.as_ref().and_then(|it| it.generation(&record.source, record.offset));
                    if sabotaged(Sabotage::CommitEarly) {
                        inner.assignment.completed(&source, epoch, record.offset);
                    }
                    drop(inner);
                    context.tell(MemberEvent::Record(record));
                    if flow == Flow::Hold {
                        return Ok(());
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

    fn pause(&self, partitions: &[TopicPartition]) {
        if !partitions.is_empty()
            && let Err(error) = self.consumer.pause(&list_of(partitions))
        {
            emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "pause" });
        }
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        if !partitions.is_empty()
            && let Err(error) = self.consumer.resume(&list_of(partitions))
        {
            emit(ClientError { client: &self.consumer.context().stage, error: &error, reason: "resume" });
        }
    }

    /// Waits for the work in flight and commits it.
    fn drain(&self) {
        let context = self.consumer.context();
        chaos::at(&context.stage, Point::Draining);
        let undone = context.drain(None);
        if context.transactor.is_none() {
            let commits = context.inner().assignment.take_commits(None);
            commit(&self.consumer, &context.stage, &commits, CommitMode::Sync);
        }
        chaos::at(&context.stage, Point::Leaving);
        tracing::info!(stage = %context.stage, undone, "stage stopped");
    }

    /// Leaves the group while it is polled, until nothing is held and nothing comes any more: a client that is closed
    /// while partitions come and go may wait for ever (librdkafka#4884). The revocations find nothing in flight.
    fn leave(&self) {
        let context = self.consumer.context();
        context.inner().requests.leaving = true;
        self.consumer.unsubscribe();
        let deadline = Instant::now() + context.drain_timeout;
        // Records that come are not ours any more.
        while self.consumer.poll(LOOK).is_some() || !context.inner().assignment.partitions().is_empty() {
            if Instant::now() > deadline {
                return tracing::warn!(stage = %context.stage, "the group is not left in time: the client is closed as it is");
            }
        }
    }
}
