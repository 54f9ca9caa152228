//! What happens inside the polls: rebalances, and reports of the client.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use prunella_telemetry::emit;

use super::{Command, MemberEvent};
use crate::assignment::Assignment;
use crate::chaos::{self, Point, Sabotage, sabotaged};
use crate::error::StreamError;
use crate::events::{ClientError, CommitDone, Lag, PartitionsAssigned, PartitionsRevoked};
use crate::offsets::NextOffset;
use crate::record::TopicPartition;
use crate::rewind::Rewinds;
use crate::transactor::TransactorHandle;

/// What commands asked of the poll loop beyond the assignment itself.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) pause: Vec<TopicPartition>,
    pub(super) resume: Vec<TopicPartition>,
    pub(super) subscribe: Option<Vec<String>>,
    pub(super) failure: Option<StreamError>,
    pub(super) stop: bool,
    /// The member has failed: what is in flight never completes.
    pub(super) failed: bool,
    /// The member leaves its group: what is given to it is given back at once.
    pub(super) leaving: bool,
}

pub(super) struct Inner {
    pub(super) assignment: Assignment,
    pub(super) commands: Receiver<Command>,
    pub(super) requests: Requests,
    /// Of a member that notices when its group is rewound.
    pub(super) rewinds: Option<Rewinds>,
}

impl Inner {
    fn apply(&mut self, command: Command) {
        match command {
            Command::Complete { source, epoch, offset } => self.assignment.completed(&source, epoch, offset),
            Command::GiveBack { source, epoch, offset } => self.assignment.given_back(&source, epoch, offset),
            Command::Restored { source, epoch } => {
                if self.assignment.restored(&source, epoch) {
                    self.requests.resume.push(source);
                }
            }
            Command::Subscribe(topics) => self.requests.subscribe = Some(topics),
            Command::HoldBack(topics) => {
                let change = self.assignment.hold_back(topics);
                self.requests.resume.retain(|partition| !change.pause.contains(partition));
                self.requests.pause.retain(|partition| !change.resume.contains(partition));
                self.requests.pause.extend(change.pause);
                self.requests.resume.extend(change.resume);
            }
            Command::Fail(error) => {
                self.requests.failure.get_or_insert(error);
            }
            Command::Stop => self.requests.stop = true,
        }
    }

    pub(super) fn apply_queued(&mut self) {
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

pub(crate) struct MemberContext {
    pub(super) stage: String,
    pub(super) restored_topics: Vec<String>,
    pub(super) drain_timeout: Duration,
    pub(super) events: UnboundedSender<MemberEvent>,
    /// Of an exactly-once member: commits offsets.
    pub(super) transactor: Option<TransactorHandle>,
    /// Locked by the poll thread alone: in its loop, and in the rebalance callbacks that run inside
    /// its polls.
    pub(super) inner: Mutex<Inner>,
}

impl MemberContext {
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: MemberEvent) {
        if self.events.send(event).is_err() {
            tracing::trace!(stage = %self.stage, "driver has ended");
        }
    }

    /// Applies commands until there is room for more, at most for `longest`; gives the partitions to pause when there
    /// is none by then.
    pub(super) fn hold(&self, longest: Duration) -> Vec<TopicPartition> {
        let mut inner = self.inner();
        let deadline = Instant::now() + longest;
        while inner.assignment.is_full() && !inner.requests.stop && inner.requests.failure.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            match inner.commands.recv_timeout(left) {
                Ok(command) => inner.apply(command),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return inner.assignment.take_hogs();
                }
            }
            inner.apply_queued();
        }
        Vec::new()
    }

    /// Applies commands until nothing is in flight of `partitions` (all, if `None`) or time is up.
    pub(super) fn drain(&self, partitions: Option<&[TopicPartition]>) -> usize {
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
        let mut waiting = TopicPartitionList::new();
        let mut assigned = Vec::with_capacity(partitions.len());
        let mut inner = self.inner();
        for partition in partitions {
            let must_restore = self.restored_topics.iter().any(|topic| **topic == *partition.topic);
            assigned.push((partition.clone(), inner.assignment.assign(partition.clone(), must_restore)));
            if !inner.assignment.flows(partition) {
                waiting.add_partition(&partition.topic, partition.partition);
            }
        }
        let owned = inner.assignment.partitions().len();
        let notices = inner.rewinds.clone();
        let leaving = inner.requests.leaving;
        drop(inner);
        if leaving {
            return;
        }
        if let Some(rewinds) = notices {
            let read = partitions
                .iter()
                .filter(|partition| !self.restored_topics.iter().any(|topic| **topic == *partition.topic));
            if let Err(error) = rewinds.assigned(consumer, read) {
                let reason = format!("what it has committed cannot be had: {error}");
                let failure = StreamError::Group { stage: self.stage.clone(), reason };
                self.inner().requests.failure.get_or_insert(failure);
            }
        }
        if waiting.count() > 0
            && let Err(error) = consumer.pause(&waiting)
        {
            emit(ClientError { client: &self.stage, error: &error, reason: "pause of what was assigned" });
        }
        emit(PartitionsAssigned { stage: &self.stage, partitions, owned });
        self.tell(MemberEvent::Assigned(assigned));
        chaos::at(&self.stage, Point::Assigned);
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: Vec<TopicPartition>) {
        if self.inner().requests.failed {
            return;
        }
        let lost = consumer.assignment_lost();
        chaos::at(&self.stage, Point::Revoked);
        let (released, release) = sync_channel(1);
        self.tell(MemberEvent::Revoked { partitions: partitions.clone(), released });
        // A lost partition has a new owner already: its work in flight is for nothing.
        let undone = if lost { self.inner().assignment.open_of(&partitions) } else { self.drain(Some(&partitions)) };
        if release.recv_timeout(self.drain_timeout).is_err() {
            tracing::warn!(stage = %self.stage, "work on revoked partitions did not stop in time");
        }
        let given_up = self.release_transactions(&partitions, lost);
        let mut inner = self.inner();
        inner.apply_queued();
        if let Err(error) = given_up {
            inner.requests.failure.get_or_insert(error);
        }
        let commits = inner.assignment.take_commits(Some(&partitions));
        for partition in &partitions {
            inner.assignment.forget(partition);
        }
        let rewinds = inner.rewinds.clone();
        let owned = inner.assignment.partitions().len();
        drop(inner);
        if !lost && self.transactor.is_none() {
            commit(consumer, &self.stage, &commits, CommitMode::Sync);
        }
        if let Some(rewinds) = rewinds {
            rewinds.revoked(&partitions);
        }
        emit(PartitionsRevoked { stage: &self.stage, partitions: &partitions, owned, lost, undone });
    }

    /// Makes sure that no transaction of ours touches these partitions any more. Where that cannot be
    /// known, the whole member is built anew.
    fn release_transactions(&self, partitions: &[TopicPartition], lost: bool) -> Result<(), StreamError> {
        let Some(transactor) = &self.transactor else { return Ok(()) };
        let failed = |reason: &str| {
            // Before this callback returns: the client joins the group again after it.
            transactor.give_up();
            StreamError::Group { stage: self.stage.clone(), reason: reason.to_owned() }
        };
        if lost {
            return Err(failed("its partitions went to others before it gave them up"));
        }
        let assignments = {
            let inner = self.inner();
            let epoch = |partition: &TopicPartition| Some((partition.clone(), inner.assignment.epoch(partition)?));
            partitions.iter().filter_map(epoch).collect()
        };
        if transactor.release(assignments, self.drain_timeout) {
            return Ok(());
        }
        Err(failed("a transaction did not end before its partitions were revoked"))
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

pub(super) fn commit(
    consumer: &BaseConsumer<MemberContext>,
    stage: &str,
    commits: &[(TopicPartition, NextOffset)],
    mode: CommitMode,
) {
    if commits.is_empty() {
        return;
    }
    if sabotaged(Sabotage::SkipCommit) {
        return;
    }
    chaos::at(stage, Point::Committing);
    let mut list = TopicPartitionList::new();
    for (partition, next) in commits {
        let offset = Offset::Offset(next.as_commit());
        if let Err(error) = list.add_partition_offset(&partition.topic, partition.partition, offset) {
            emit(CommitDone { stage, error: Some(&error) });
        }
    }
    consumer.context().annotate(&mut list);
    // An asynchronous commit reports through `commit_callback`.
    if let Err(error) = consumer.commit(&list, mode) {
        emit(CommitDone { stage, error: Some(&error) });
        consumer.context().commit_not_done(&list);
    }
}

impl MemberContext {
    /// Adds to offsets what tells them from those that others commit for the group.
    pub(crate) fn annotate(&self, offsets: &mut TopicPartitionList) {
        let rewinds = self.inner().rewinds.clone();
        if let Some(rewinds) = rewinds {
            rewinds.annotate(offsets);
        }
    }

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
