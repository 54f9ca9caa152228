//! The partitions a member owns, and how much of each is in flight. Pure: decides, does not act.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::memory::{MemoryBudget, MemoryShare};
use crate::offsets::{AssignmentEpoch, NextOffset, PartitionTracker};
use crate::record::TopicPartition;

pub(crate) struct Limits {
    /// Most records in flight over all partitions that flow.
    pub(crate) records: usize,
    /// Most bytes in flight over all partitions.
    pub(crate) bytes: usize,
}

/// A partition with more than this part of the limits in flight is paused when the limits are reached for long.
const SHARES: usize = 8;
/// The part of its limit that a member may take whatever the other members of the process hold.
const OWN_SHARES: usize = 16;

struct Owned {
    tracker: PartitionTracker,
    /// Paused because too much of it is in flight.
    throttled: bool,
    /// Paused until its state is restored.
    restoring: bool,
    /// Paused because its topic is held back.
    held_back: bool,
}

impl Owned {
    fn flows(&self) -> bool {
        !(self.throttled || self.restoring || self.held_back)
    }
}

/// What the poll thread has to do after a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Keep,
    /// Wait a moment for work in flight before more is taken.
    Hold,
}

pub(crate) struct Assignment {
    partitions: HashMap<TopicPartition, Owned>,
    limits: Limits,
    epochs: u64,
    memory: MemoryShare,
    records: usize,
    /// Topics of which nothing is to be taken.
    held_back: HashSet<Arc<str>>,
}

/// The partitions whose flow changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowChange {
    pub(crate) pause: Vec<TopicPartition>,
    pub(crate) resume: Vec<TopicPartition>,
}

impl Assignment {
    pub(crate) fn new(limits: Limits, budget: &MemoryBudget) -> Self {
        let memory = budget.share(limits.bytes / OWN_SHARES);
        Self { partitions: HashMap::new(), limits, epochs: 0, memory, records: 0, held_back: HashSet::new() }
    }

    pub(crate) fn assign(&mut self, partition: TopicPartition, restoring: bool) -> AssignmentEpoch {
        self.forget(&partition);
        self.epochs += 1;
        let epoch = AssignmentEpoch::new(self.epochs);
        let held_back = self.held_back.contains(&partition.topic);
        let owned = Owned { tracker: PartitionTracker::new(epoch), throttled: false, restoring, held_back };
        self.partitions.insert(partition, owned);
        epoch
    }

    /// Forgets a partition; what is still in flight of it completes into the void.
    pub(crate) fn forget(&mut self, partition: &TopicPartition) -> Option<AssignmentEpoch> {
        let owned = self.partitions.remove(partition)?;
        self.memory.release(owned.tracker.open_bytes());
        self.records -= owned.tracker.open();
        Some(owned.tracker.epoch())
    }

    pub(crate) fn epoch(&self, partition: &TopicPartition) -> Option<AssignmentEpoch> {
        self.partitions.get(partition).map(|owned| owned.tracker.epoch())
    }

    /// Notes a record; gives its place under this assignment, and whether there is enough for now.
    pub(crate) fn taken(&mut self, partition: &TopicPartition, offset: i64, bytes: usize) -> (u64, Flow) {
        let Some(owned) = self.partitions.get_mut(partition) else { return (0, Flow::Keep) };
        let sequence = owned.tracker.taken(offset, bytes);
        self.memory.hold(bytes);
        self.records += 1;
        (sequence, if self.is_full() { Flow::Hold } else { Flow::Keep })
    }

    /// As much is in flight as may be. Paused partitions have had their share and do not count.
    pub(crate) fn is_full(&self) -> bool {
        self.memory.held() >= self.limits.bytes
            || self.memory.is_short()
            || (self.records >= self.limits.records && self.flowing() >= self.limits.records)
    }

    fn flowing(&self) -> usize {
        self.partitions.values().filter(|owned| !owned.throttled).map(|owned| owned.tracker.look_ahead()).sum()
    }

    /// Takes the partitions that have most in flight, so that they can be paused and others go on.
    pub(crate) fn take_hogs(&mut self) -> Vec<TopicPartition> {
        let share = self.share();
        let flowing = || self.partitions.iter().filter(|(_, owned)| !owned.throttled);
        let is_hog = |owned: &Owned| {
            owned.tracker.look_ahead() >= share || owned.tracker.open_bytes() >= self.limits.bytes / SHARES
        };
        let mut hogs: Vec<TopicPartition> =
            flowing().filter(|(_, owned)| is_hog(owned)).map(|(partition, _)| partition.clone()).collect();
        if hogs.is_empty() {
            let largest = flowing().max_by_key(|(_, owned)| owned.tracker.look_ahead());
            hogs.extend(largest.map(|(partition, _)| partition.clone()));
        }
        for hog in &hogs {
            if let Some(owned) = self.partitions.get_mut(hog) {
                owned.throttled = true;
            }
        }
        hogs
    }

    /// What one partition may have in flight before it is in the way of others.
    fn share(&self) -> usize {
        (self.limits.records / SHARES).max(1)
    }

    pub(crate) fn completed(&mut self, partition: &TopicPartition, epoch: AssignmentEpoch, offset: i64) {
        let Some(owned) = self.partitions.get_mut(partition) else { return };
        let before = owned.tracker.open_bytes();
        if owned.tracker.completed(epoch, offset) {
            self.memory.release(before - owned.tracker.open_bytes());
            self.records -= 1;
        }
    }

    pub(crate) fn given_back(&mut self, partition: &TopicPartition, epoch: AssignmentEpoch, offset: i64) {
        let Some(owned) = self.partitions.get_mut(partition) else { return };
        let before = owned.tracker.open_bytes();
        if owned.tracker.given_back(epoch, offset) {
            self.memory.release(before - owned.tracker.open_bytes());
            self.records -= 1;
        }
    }

    /// Takes the partitions whose work has fallen to half their share and may flow again.
    pub(crate) fn take_resumable(&mut self) -> Vec<TopicPartition> {
        if self.memory.held() > self.limits.bytes / 2 || self.memory.is_short() {
            return Vec::new();
        }
        let half = self.share() / 2;
        self.partitions
            .iter_mut()
            .filter(|(_, owned)| owned.throttled && !owned.restoring && owned.tracker.look_ahead() <= half)
            .filter_map(|(partition, owned)| {
                owned.throttled = false;
                owned.flows().then(|| partition.clone())
            })
            .collect()
    }

    /// Nothing is to be taken of these topics from now on, and of all others that were held back something again.
    pub(crate) fn hold_back(&mut self, topics: HashSet<Arc<str>>) -> FlowChange {
        self.held_back = topics;
        let mut change = FlowChange::default();
        for (partition, owned) in &mut self.partitions {
            let flowed = owned.flows();
            owned.held_back = self.held_back.contains(&partition.topic);
            match (flowed, owned.flows()) {
                (true, false) => change.pause.push(partition.clone()),
                (false, true) => change.resume.push(partition.clone()),
                _ => {}
            }
        }
        change
    }

    /// Whether anything is to be taken of this partition.
    pub(crate) fn flows(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_some_and(Owned::flows)
    }

    /// The state of a partition is restored: true when it may flow.
    pub(crate) fn restored(&mut self, partition: &TopicPartition, epoch: AssignmentEpoch) -> bool {
        match self.partitions.get_mut(partition) {
            Some(owned) if owned.tracker.epoch() == epoch && owned.restoring => {
                owned.restoring = false;
                owned.flows()
            }
            _ => false,
        }
    }

    pub(crate) fn any_throttled(&self) -> bool {
        self.partitions.values().any(|owned| owned.throttled)
    }

    pub(crate) fn throttled(&self) -> usize {
        self.partitions.values().filter(|owned| owned.throttled).count()
    }

    /// Takes the positions that moved since the last call.
    pub(crate) fn take_commits(&mut self, only: Option<&[TopicPartition]>) -> Vec<(TopicPartition, NextOffset)> {
        self.partitions
            .iter_mut()
            .filter(|(partition, _)| only.is_none_or(|only| only.contains(partition)))
            .filter_map(|(partition, owned)| {
                let next = owned.tracker.to_commit()?;
                owned.tracker.commit_sent(next);
                Some((partition.clone(), next))
            })
            .collect()
    }

    pub(crate) fn commit_failed(&mut self, partition: &TopicPartition) {
        if let Some(owned) = self.partitions.get_mut(partition) {
            owned.tracker.commit_failed();
        }
    }

    /// Records in flight of these partitions.
    pub(crate) fn open_of(&self, partitions: &[TopicPartition]) -> usize {
        partitions.iter().filter_map(|partition| self.partitions.get(partition)).map(|owned| owned.tracker.open()).sum()
    }

    pub(crate) fn open(&self) -> usize {
        self.records
    }

    pub(crate) fn open_bytes(&self) -> usize {
        self.memory.held()
    }

    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition { topic: "t".into(), partition: number }
    }

    fn assignment(records: usize, bytes: usize) -> Assignment {
        assignment_of(records, bytes, &MemoryBudget::new("1GiB".parse().expect("a size")))
    }

    fn assignment_of(records: usize, bytes: usize, budget: &MemoryBudget) -> Assignment {
        Assignment::new(Limits { records, bytes }, budget)
    }

    #[test]
    fn a_full_partition_is_held_then_paused_once_and_flows_again_when_its_work_is_done() {
        let mut assignment = assignment(32, 1000);
        let (hog, other) = (partition(0), partition(1));
        let epoch = assignment.assign(hog.clone(), false);
        assignment.assign(other.clone(), false);
        let flows: Vec<_> = (0..31).map(|offset| assignment.taken(&hog, offset, 1).1).collect();
        assert!(flows.iter().all(|flow| *flow == Flow::Keep));
        assert_eq!(assignment.taken(&other, 0, 1).1, Flow::Hold);
        assert_eq!(assignment.take_hogs(), std::slice::from_ref(&hog));
        assert!(!assignment.is_full(), "the other one goes on");
        for offset in 0..28 {
            assert!(assignment.take_resumable().is_empty());
            assignment.completed(&hog, epoch, offset);
        }
        assignment.completed(&hog, epoch, 28);
        assert_eq!(assignment.take_resumable(), [hog]);
        assert!(assignment.take_resumable().is_empty());
    }

    #[test]
    fn bytes_are_limited_over_all_partitions() {
        let mut assignment = assignment(100, 100);
        let first = assignment.assign(partition(0), false);
        assignment.assign(partition(1), false);
        assert_eq!(assignment.taken(&partition(0), 0, 90).1, Flow::Keep);
        assert_eq!(assignment.taken(&partition(1), 0, 11).1, Flow::Hold);
        assert_eq!(assignment.take_hogs().len(), 1);
        assert!(assignment.take_resumable().is_empty());
        assignment.completed(&partition(0), first, 0);
        assert_eq!(assignment.take_resumable().len(), 1);
    }

    #[test]
    fn a_member_waits_while_the_process_holds_all_it_may() {
        let budget = MemoryBudget::new("100B".parse().expect("a size"));
        let (mut slow, mut quick) = (assignment_of(100, 160, &budget), assignment_of(100, 160, &budget));
        let epoch = slow.assign(partition(0), false);
        quick.assign(partition(0), false);
        assert_eq!(slow.taken(&partition(0), 0, 100).1, Flow::Hold);
        assert_eq!(quick.taken(&partition(0), 0, 9).1, Flow::Keep, "a sixteenth is its own");
        assert_eq!(quick.taken(&partition(0), 1, 9).1, Flow::Hold);
        assert_eq!(quick.take_hogs().len(), 1);
        assert!(quick.take_resumable().is_empty());
        slow.completed(&partition(0), epoch, 0);
        assert_eq!(quick.take_resumable().len(), 1);
    }

    #[test]
    fn a_restoring_partition_flows_only_when_restored() {
        let mut assignment = assignment(100, 100);
        let old = assignment.assign(partition(0), true);
        let epoch = assignment.assign(partition(0), true);
        assert!(!assignment.restored(&partition(0), old));
        assert!(assignment.restored(&partition(0), epoch));
        assert!(!assignment.restored(&partition(0), epoch));
    }

    #[test]
    fn a_topic_that_is_held_back_flows_again_when_it_is_let_go_and_nothing_else_is_in_the_way() {
        let mut assignment = assignment(8, 100);
        let other = TopicPartition { topic: "other".into(), partition: 0 };
        assignment.assign(partition(0), false);
        assignment.assign(other.clone(), false);
        let held: HashSet<Arc<str>> = ["t".into()].into();
        let paused = FlowChange { pause: vec![partition(0)], ..FlowChange::default() };
        assert_eq!(assignment.hold_back(held.clone()), paused);
        assert_eq!(assignment.hold_back(held), FlowChange::default());
        let restoring = assignment.assign(partition(1), true);
        assert!(!assignment.restored(&partition(1), restoring), "it came while its topic was held back");
        assert!(assignment.flows(&other) && !assignment.flows(&partition(1)));
        let mut let_go = assignment.hold_back(HashSet::new());
        let_go.resume.sort_by_key(|partition| partition.partition);
        assert_eq!(let_go, FlowChange { resume: vec![partition(0), partition(1)], ..FlowChange::default() });
    }

    #[test]
    fn a_throttled_partition_of_a_topic_held_back_waits_for_both() {
        let mut assignment = assignment(1, 100);
        let epoch = assignment.assign(partition(0), false);
        assignment.taken(&partition(0), 0, 1);
        assert_eq!(assignment.take_hogs(), [partition(0)]);
        assert_eq!(assignment.hold_back(["t".into()].into()), FlowChange::default(), "it is paused already");
        assignment.completed(&partition(0), epoch, 0);
        assert!(assignment.take_resumable().is_empty());
        let let_go = assignment.hold_back(HashSet::new());
        assert_eq!(let_go, FlowChange { resume: vec![partition(0)], ..FlowChange::default() });
    }

    proptest! {
        /// Completions of a partition that was revoked and assigned again never move its position,
        /// and the counters agree with what is open, whatever the order of events.
        #[test]
        fn reassignment_isolates_epochs(events in prop::collection::vec((0..3i32, 0..5u8), 1..200)) {
            let mut assignment = assignment(1000, 1 << 40);
            let mut live: HashMap<i32, (AssignmentEpoch, Vec<i64>)> = HashMap::new();
            let mut stale: Vec<(i32, AssignmentEpoch, i64)> = Vec::new();
            let mut next_offset = 0;
            for (number, kind) in events {
                match kind {
                    0 => {
                        if let Some((epoch, offsets)) = live.remove(&number) {
                            stale.extend(offsets.into_iter().map(|offset| (number, epoch, offset)));
                        }
                        let epoch = assignment.assign(partition(number), false);
                        live.insert(number, (epoch, Vec::new()));
                    }
                    1 | 2 => {
                        if let Some((_, offsets)) = live.get_mut(&number) {
                            assignment.taken(&partition(number), next_offset, 3);
                            offsets.push(next_offset);
                            next_offset += 1;
                        }
                    }
                    3 => {
                        if let Some((epoch, offsets)) = live.get_mut(&number)
                            && let Some(offset) = offsets.pop() {
                            assignment.completed(&partition(number), *epoch, offset);
                        }
                    }
                    _ => {
                        if let Some((number, epoch, offset)) = stale.pop() {
                            let before = (assignment.open(), assignment.take_commits(None));
                            assignment.completed(&partition(number), epoch, offset);
                            prop_assert_eq!(assignment.open(), before.0);
                            prop_assert!(assignment.take_commits(None).is_empty());
                        }
                    }
                }
                let open: usize = live.values().map(|(_, offsets)| offsets.len()).sum();
                prop_assert_eq!(assignment.open(), open);
                prop_assert_eq!(assignment.open_bytes(), open * 3);
            }
        }
    }
}
