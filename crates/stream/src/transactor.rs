//! Exactly-once writing: outcomes, state and offsets of one member in transactions, on a thread of
//! its own.
//!
//! Invariants:
//! 1. an outcome is written in the transaction that commits the offset of its record, never before:
//!    outcomes wait here until everything taken earlier from their partition has its outcome;
//! 2. every transaction sends offsets, so Kafka refuses it when the member has lost its place in the
//!    group, transactions of timers and background work included. A member that lost its place joins
//!    again by itself, under a new name that Kafka would accept for the work of the old one: before
//!    that can happen this transactor is *given up*, and from then on proves nothing;
//! 3. what was handed over before a partition is released is committed before the release is
//!    answered; what comes later for that assignment is dropped;
//! 4. after any error that leaves open what Kafka did, nothing of this object is used again: the
//!    member ends, and producer, consumer and state are built anew. Building the producer ends what
//!    this one left open.
//!
//! The one error that is answered by doing the same again is the refusal of a generation that a
//! rebalance has just replaced: it is definite, the transaction is aborted, and the partitions are
//! still ours, because their release passes through here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::{Offset, TopicPartitionList};

use prunella_telemetry::emit;

use crate::chaos::{self, Point, Sabotage, sabotaged};
use crate::error::StreamError;
use crate::events::{TransactionEnded, TransactionReached};
use crate::member::{MemberContext, MemberHandle};
use crate::membership::group_metadata;
use crate::offsets::{AssignmentEpoch, NextOffset};
use crate::output::OutputError;
use crate::processing::TransactionSettings;
use crate::record::{OutRecord, Position, TopicPartition};
use crate::sizes::RefusedSizes;
use crate::transaction::{Failure, TransactionalProducer};

/// How long one answer of Kafka about offsets of a group may take.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(10);
/// Times a transaction is made again because a rebalance replaced the generation it named.
const GENERATION_ATTEMPTS: u32 = 40;
const GENERATION_PAUSE: Duration = Duration::from_millis(50);

pub(crate) type Done = Box<dyn FnOnce(Result<(), OutputError>) + Send>;

/// Something to be written.
pub(crate) struct Submission {
    pub(crate) owner: Owner,
    pub(crate) records: Vec<OutRecord>,
    /// Called once it is committed; never, when its partition was released before.
    pub(crate) done: Done,
}

/// On whose behalf something is written.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    /// The outcome of a record: its offset moves with it.
    Record(Position),
    /// A home's timer or background work.
    Home { partition: TopicPartition, epoch: AssignmentEpoch },
}

impl Owner {
    fn partition(&self) -> (&TopicPartition, AssignmentEpoch) {
        match self {
            Self::Record(position) => (&position.source, position.epoch),
            Self::Home { partition, epoch } => (partition, *epoch),
        }
    }
}

pub(crate) enum Message {
    Submit(Submission),
    Release { partitions: Vec<(TopicPartition, AssignmentEpoch)>, released: SyncSender<()> },
    Stop,
}

/// The way to a member's transactor. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TransactorHandle {
    messages: Sender<Message>,
    refused: RefusedSizes,
    state: Arc<State>,
}

/// What others may know of a transactor, and do to it, while it waits for Kafka.
#[derive(Default)]
pub(crate) struct State {
    given_up: AtomicBool,
    transaction_since: Mutex<Option<Instant>>,
}

impl State {
    fn note(&self, since: Option<Instant>) {
        *self.transaction_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl TransactorHandle {
    /// Hands over something to be written. A record that Kafka refused for its size a moment ago is
    /// refused here, before it spoils a transaction.
    pub(crate) fn submit(&self, submission: Submission) {
        if let Some(error) = submission.records.iter().find_map(|record| self.refused.check(record)) {
            return (submission.done)(Err(error));
        }
        // A transactor that is gone has failed, and its member with it: the record is taken again.
        let _ = self.messages.send(Message::Submit(submission));
    }

    /// Commits what was handed over before, then forgets these assignments. False when that did not
    /// happen in time, or not at all.
    pub(crate) fn release(&self, partitions: Vec<(TopicPartition, AssignmentEpoch)>, timeout: Duration) -> bool {
        let (released, release) = std::sync::mpsc::sync_channel(1);
        self.messages.send(Message::Release { partitions, released }).is_ok() && release.recv_timeout(timeout).is_ok()
    }

    /// Its partitions may have other owners: nothing more is committed. To be called before the member can
    /// join again.
    pub(crate) fn give_up(&self) {
        self.state.given_up.store(true, Ordering::SeqCst);
    }

    /// How long the transaction at hand has been at work.
    pub(crate) fn busy(&self) -> Duration {
        let since = self.state.transaction_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn stop(&self) {
        let _ = self.messages.send(Message::Stop);
    }
}

/// The messages of a transactor that has not started, and what it shares with its handle.
pub(crate) fn transactor(refused: RefusedSizes) -> (TransactorHandle, Receiver<Message>, Arc<State>) {
    let (messages, receiver) = channel();
    let state = Arc::<State>::default();
    (TransactorHandle { messages, refused, state: state.clone() }, receiver, state)
}

pub(crate) struct Transactor {
    pub(crate) messages: Receiver<Message>,
    pub(crate) producer: TransactionalProducer,
    pub(crate) state: Arc<State>,
    /// Not kept alive from here: the poll thread closes it, also when Kafka leaves us waiting for ever.
    pub(crate) consumer: Weak<BaseConsumer<MemberContext>>,
    pub(crate) member: MemberHandle,
    pub(crate) settings: TransactionSettings,
    pub(crate) refused: RefusedSizes,
}

impl Transactor {
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(format!("txn-{}", self.member.stage())).spawn(move || {
            let member = self.member.clone();
            if let Err(error) = self.run() {
                member.fail(error);
            }
        })
    }

    fn run(self) -> Result<(), StreamError> {
        self.producer.init(|| self.member.is_stopping()).map_err(|failure| self.failed(failure))?;
        let mut work = Work::default();
        let mut last_begin: Option<Instant> = None;
        loop {
            match self.next_message(&work, last_begin) {
                Some(Message::Stop) => return Ok(()),
                Some(Message::Submit(submission)) => {
                    work.take(submission);
                    // Everything that is there by now goes into one transaction.
                    if !work.is_full(self.settings.max_records) {
                        continue;
                    }
                }
                Some(Message::Release { partitions, released }) => {
                    while !work.ready.is_empty() {
                        self.commit(&mut work)?;
                    }
                    work.release(partitions);
                    // The poll thread stops waiting by itself, and then fails the member.
                    let _ = released.try_send(());
                    continue;
                }
                None => {}
            }
            last_begin = Some(Instant::now());
            self.commit(&mut work)?;
        }
    }

    /// The next message; `None` when it is time for the transaction that is due.
    fn next_message(&self, work: &Work, last_begin: Option<Instant>) -> Option<Message> {
        if work.ready.is_empty() {
            // All handles are gone: nobody can hand over anything any more.
            return Some(self.messages.recv().unwrap_or(Message::Stop));
        }
        let interval = self.settings.interval.duration();
        let pause = last_begin.map_or(Duration::ZERO, |begin| interval.saturating_sub(begin.elapsed()));
        match self.messages.recv_timeout(pause) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Message::Stop),
        }
    }

    fn commit(&self, work: &mut Work) -> Result<(), StreamError> {
        let batch = work.take_batch(self.settings.max_records);
        let started = Instant::now();
        let mut attempt = 1;
        loop {
            match self.transaction(work, &batch) {
                Ok(()) => break,
                Err(Failure::Generation(reason)) if attempt < GENERATION_ATTEMPTS => {
                    tracing::info!(stage = self.member.stage(), %reason, "a rebalance came first: the transaction is made again");
                    self.producer.abort().map_err(|failure| self.failed(failure))?;
                    std::thread::sleep(GENERATION_PAUSE);
                    attempt += 1;
                }
                Err(failure) => {
                    emit(TransactionEnded {
                        stage: self.member.stage(),
                        records: 0,
                        took: started.elapsed(),
                        failure: Some(&failure),
                    });
                    return Err(self.failed(failure));
                }
            }
        }
        let records = batch.iter().map(|submission| submission.records.len()).sum();
        emit(TransactionEnded { stage: self.member.stage(), records, took: started.elapsed(), failure: None });
        for submission in batch {
            (submission.done)(Ok(()));
        }
        Ok(())
    }

    fn transaction(&self, work: &mut Work, batch: &[Submission]) -> Result<(), Failure> {
        self.state.note(Some(Instant::now()));
        let result = self.make_transaction(work, batch);
        self.state.note(None);
        result
    }

    fn make_transaction(&self, work: &mut Work, batch: &[Submission]) -> Result<(), Failure> {
        let mut offsets = self.offsets(work, batch)?;
        self.consumer()?.context().annotate(&mut offsets);
        let reached = |step: Point| {
            emit(TransactionReached { stage: self.member.stage(), step });
            chaos::at(self.member.stage(), step);
        };
        let group = || match chaos::nobody(self.member.group()) {
            Some(nobody) => Ok(nobody),
            None => self.membership(),
        };
        self.producer.begin()?;
        reached(Point::Begun);
        if sabotaged(Sabotage::CommitEarly) {
            self.producer.send_offsets(&offsets, &group()?)?;
            self.producer.commit()?;
            reached(Point::Committed);
            self.producer.begin()?;
        }
        let sent = self.producer.write(batch.iter().flat_map(|submission| submission.records.iter()));
        if let Err(Failure::TooLarge { topic, bytes }) = &sent {
            self.refused.learn(topic, *bytes);
        }
        sent?;
        reached(Point::Written);
        if !sabotaged(Sabotage::SkipCommit) && !sabotaged(Sabotage::CommitEarly) {
            self.producer.send_offsets(&offsets, &group()?)?;
        }
        reached(Point::OffsetsSent);
        reached(Point::Ending);
        self.producer.commit()?;
        reached(Point::Committed);
        Ok(())
    }

    /// Where the partitions of `batch` are once it is committed. Work of homes alone sends the
    /// position of a home as it is: for the check of the generation.
    fn offsets(&self, work: &mut Work, batch: &[Submission]) -> Result<TopicPartitionList, Failure> {
        let mut next: BTreeMap<&TopicPartition, NextOffset> = BTreeMap::new();
        for submission in batch {
            if let Owner::Record(position) = &submission.owner {
                next.insert(&position.source, NextOffset::after(position.offset));
            }
        }
        for (partition, offset) in &next {
            work.positions.insert((*partition).clone(), offset.as_commit());
        }
        let mut list = TopicPartitionList::new();
        if next.is_empty()
            && let Some(first) = batch.first()
        {
            let (partition, _) = first.owner.partition();
            let position = self.position(work, partition)?;
            add(&mut list, partition, position)?;
        }
        for (partition, offset) in next {
            add(&mut list, partition, offset.as_commit())?;
        }
        Ok(list)
    }

    /// Proof that the member is in its group, and that it is the membership under which the work at hand
    /// was taken: asked for first and checked then, because giving up comes before joining again.
    fn membership(&self) -> Result<ConsumerGroupMetadata, Failure> {
        let metadata = group_metadata(&*self.consumer()?).ok_or_else(|| Failure::Group("put out of it".to_owned()))?;
        if self.state.given_up.load(Ordering::SeqCst) && !sabotaged(Sabotage::KeepLateOutcomes) {
            return Err(Failure::Group("its partitions were given up".to_owned()));
        }
        Ok(metadata)
    }

    fn consumer(&self) -> Result<Arc<BaseConsumer<MemberContext>>, Failure> {
        self.consumer.upgrade().ok_or_else(|| Failure::Group("its member has ended".to_owned()))
    }

    fn position(&self, work: &mut Work, partition: &TopicPartition) -> Result<i64, Failure> {
        if let Some(position) = work.positions.get(partition) {
            return Ok(*position);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        let committed = self.consumer()?.committed_offsets(list, OFFSETS_TIMEOUT).map_err(Failure::from)?;
        let found = committed.find_partition(&partition.topic, partition.partition).map(|found| found.offset());
        // A group that has committed nothing yet starts at the beginning.
        let position = if let Some(Offset::Offset(offset)) = found { offset } else { 0 };
        work.positions.insert(partition.clone(), position);
        Ok(position)
    }

    fn failed(&self, failure: Failure) -> StreamError {
        failure.for_stage(self.member.stage(), self.settings.slot)
    }
}

fn add(list: &mut TopicPartitionList, partition: &TopicPartition, offset: i64) -> Result<(), Failure> {
    list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(offset)).map_err(Failure::from)
}

/// What has been handed over, in the order it may be written.
#[derive(Default)]
struct Work {
    ready: VecDeque<Submission>,
    ready_records: usize,
    partitions: HashMap<TopicPartition, Sequence>,
    /// The last assignment of a partition that was released.
    released: HashMap<TopicPartition, AssignmentEpoch>,
    /// Next offsets as they were last sent, or found committed.
    positions: HashMap<TopicPartition, i64>,
}

/// Outcomes of one assignment of a partition, waiting for the ones before them.
struct Sequence {
    epoch: AssignmentEpoch,
    next: u64,
    held: BTreeMap<u64, Submission>,
}

impl Work {
    fn take(&mut self, submission: Submission) {
        let (partition, epoch) = submission.owner.partition();
        if self.released.get(partition).is_some_and(|released| epoch <= *released) {
            if sabotaged(Sabotage::KeepLateOutcomes) {
                self.push(submission);
            }
            return;
        }
        let Owner::Record(position) = submission.owner.clone() else { return self.push(submission) };
        let new = Sequence { epoch: position.epoch, next: 0, held: BTreeMap::new() };
        let sequence = self.partitions.entry(position.source.clone()).or_insert(new);
        if sequence.epoch != position.epoch {
            *sequence = Sequence { epoch: position.epoch, next: 0, held: BTreeMap::new() };
        }
        sequence.held.insert(position.sequence, submission);
        let mut released = Vec::new();
        while let Some(submission) = sequence.held.remove(&sequence.next) {
            sequence.next += 1;
            released.push(submission);
        }
        for submission in released {
            self.push(submission);
        }
    }

    fn push(&mut self, submission: Submission) {
        self.ready_records += submission.records.len();
        self.ready.push_back(submission);
    }

    fn is_full(&self, most_records: usize) -> bool {
        self.ready.len().max(self.ready_records) >= most_records
    }

    fn take_batch(&mut self, most_records: usize) -> Vec<Submission> {
        let mut batch = Vec::new();
        let mut records = 0;
        while let Some(submission) = self.ready.front() {
            let full = records + submission.records.len() > most_records || batch.len() >= most_records;
            if !batch.is_empty() && full {
                break;
            }
            records += submission.records.len();
            batch.extend(self.ready.pop_front());
        }
        self.ready_records -= records;
        batch
    }

    fn release(&mut self, partitions: Vec<(TopicPartition, AssignmentEpoch)>) {
        for (partition, epoch) in partitions {
            self.partitions.remove(&partition);
            self.positions.remove(&partition);
            self.released.insert(partition, epoch);
        }
    }
}
