//! Which offset may be committed. Pure: no clock, no Kafka.
//!
//! Invariants, checked by the model test below:
//! 1. the committed position never passes a record that is not completed;
//! 2. it reaches the end of every run of completed records;
//! 3. a completion of an earlier assignment changes nothing.

use std::collections::VecDeque;
use std::fmt;

/// The offset of the next record to read: what a commit carries. One more than the last record done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextOffset(i64);

impl NextOffset {
    /// The position after a record.
    pub fn after(record_offset: i64) -> Self {
        Self(record_offset + 1)
    }

    /// As `rd_kafka_commit` and `send_offsets_to_transaction` take it: verbatim.
    pub fn as_commit(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which assignment of a partition a record was taken under. Per partition: a cooperative rebalance
/// leaves the other partitions, and their epochs, as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AssignmentEpoch(u64);

impl AssignmentEpoch {
    pub fn new(epoch: u64) -> Self {
        Self(epoch)
    }
}

struct InFlight {
    offset: i64,
    bytes: usize,
    done: bool,
    /// Never done under this assignment: whoever has the partition next takes it again.
    given_back: bool,
}

/// The records of one partition, in the order they were taken, from the first that is not completed.
pub struct PartitionTracker {
    epoch: AssignmentEpoch,
    in_flight: VecDeque<InFlight>,
    open: usize,
    open_bytes: usize,
    taken: u64,
    next: Option<NextOffset>,
    committed: Option<NextOffset>,
}

impl PartitionTracker {
    pub fn new(epoch: AssignmentEpoch) -> Self {
        Self { epoch, in_flight: VecDeque::new(), open: 0, open_bytes: 0, taken: 0, next: None, committed: None }
    }

    pub fn epoch(&self) -> AssignmentEpoch {
        self.epoch
    }

    /// A record was taken. Offsets grow; gaps (compaction, control records) are fine. Gives its place
    /// among the records taken, from 0.
    pub fn taken(&mut self, offset: i64, bytes: usize) -> u64 {
        debug_assert!(self.in_flight.back().is_none_or(|last| last.offset < offset));
        self.in_flight.push_back(InFlight { offset, bytes, done: false, given_back: false });
        self.open += 1;
        self.open_bytes += bytes;
        self.taken += 1;
        self.taken - 1
    }

    /// A record's outcome is durable. Returns whether the record was known and open.
    pub fn completed(&mut self, epoch: AssignmentEpoch, offset: i64) -> bool {
        if !self.close(epoch, offset, |record| record.done = true) {
            return false;
        }
        while self.in_flight.front().is_some_and(|record| record.done) {
            if let Some(record) = self.in_flight.pop_front() {
                self.next = Some(NextOffset::after(record.offset));
            }
        }
        true
    }

    /// Nothing will come of a record any more: it is not waited for, and the committed position never passes it.
    pub fn given_back(&mut self, epoch: AssignmentEpoch, offset: i64) -> bool {
        self.close(epoch, offset, |record| record.given_back = true)
    }

    fn close(&mut self, epoch: AssignmentEpoch, offset: i64, note: impl FnOnce(&mut InFlight)) -> bool {
        if epoch != self.epoch {
            return false;
        }
        let Ok(index) = self.in_flight.binary_search_by_key(&offset, |record| record.offset) else {
            return false;
        };
        let record = &mut self.in_flight[index];
        if record.done || record.given_back {
            return false;
        }
        note(record);
        self.open -= 1;
        self.open_bytes -= record.bytes;
        true
    }

    /// Records taken and not completed.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Bytes of records taken and not completed.
    pub fn open_bytes(&self) -> usize {
        self.open_bytes
    }

    /// Records held for the contiguous prefix: open ones and those completed ahead of them.
    pub fn look_ahead(&self) -> usize {
        self.in_flight.len()
    }

    /// The position to commit, if it moved since the last [`PartitionTracker::commit_sent`].
    pub fn to_commit(&self) -> Option<NextOffset> {
        self.next.filter(|next| self.committed.is_none_or(|committed| committed < *next))
    }

    pub fn commit_sent(&mut self, offset: NextOffset) {
        self.committed = Some(offset);
    }

    /// The last commit did not succeed: offer its position again.
    pub fn commit_failed(&mut self) {
        self.committed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EPOCH: AssignmentEpoch = AssignmentEpoch(7);

    #[test]
    fn what_is_given_back_is_not_waited_for_and_never_passed() {
        let mut tracker = PartitionTracker::new(EPOCH);
        for offset in [1, 2, 3] {
            tracker.taken(offset, 10);
        }
        assert!(tracker.given_back(EPOCH, 2));
        assert!(!tracker.given_back(EPOCH, 2) && !tracker.completed(EPOCH, 2));
        assert!(tracker.completed(EPOCH, 1) && tracker.completed(EPOCH, 3));
        assert_eq!((tracker.open(), tracker.open_bytes()), (0, 0));
        assert_eq!(tracker.to_commit(), Some(NextOffset(2)));
    }

    #[test]
    fn commits_the_contiguous_prefix_only() {
        let mut tracker = PartitionTracker::new(EPOCH);
        for offset in [3, 4, 6] {
            tracker.taken(offset, 10);
        }
        assert!(tracker.completed(EPOCH, 4));
        assert_eq!(tracker.to_commit(), None);
        assert!(tracker.completed(EPOCH, 3));
        assert_eq!(tracker.to_commit(), Some(NextOffset(5)));
        assert_eq!((tracker.open(), tracker.open_bytes(), tracker.look_ahead()), (1, 10, 1));
        tracker.commit_sent(NextOffset(5));
        assert_eq!(tracker.to_commit(), None);
        assert!(tracker.completed(EPOCH, 6));
        assert_eq!(tracker.to_commit(), Some(NextOffset(7)));
    }

    #[test]
    fn a_failed_commit_is_offered_again() {
        let mut tracker = PartitionTracker::new(EPOCH);
        tracker.taken(0, 1);
        tracker.completed(EPOCH, 0);
        tracker.commit_sent(NextOffset(1));
        tracker.commit_failed();
        assert_eq!(tracker.to_commit(), Some(NextOffset(1)));
    }

    #[derive(Debug, Clone)]
    enum Action {
        Take { gap: i64 },
        Complete { pick: prop::sample::Index },
        CompleteStale { pick: prop::sample::Index },
        CompleteUnknown { offset: i64 },
        Commit,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0i64..3).prop_map(|gap| Action::Take { gap }),
            4 => any::<prop::sample::Index>().prop_map(|pick| Action::Complete { pick }),
            1 => any::<prop::sample::Index>().prop_map(|pick| Action::CompleteStale { pick }),
            1 => (0i64..200).prop_map(|offset| Action::CompleteUnknown { offset }),
            1 => Just(Action::Commit),
        ]
    }

    proptest! {
        /// Against the obvious model: a list of (offset, done), searched from the start each time.
        #[test]
        fn agrees_with_the_model(actions in prop::collection::vec(action(), 0..200)) {
            let mut tracker = PartitionTracker::new(EPOCH);
            let mut model: Vec<(i64, bool)> = Vec::new();
            let mut committed: Option<i64> = None;
            let mut next_offset = 0;
            for action in actions {
                match action {
                    Action::Take { gap } => {
                        next_offset += gap;
                        tracker.taken(next_offset, 1);
                        model.push((next_offset, false));
                        next_offset += 1;
                    }
                    Action::Complete { pick } if !model.is_empty() => {
                        let picked = pick.index(model.len());
                        let entry = &mut model[picked];
                        let was_open = !entry.1;
                        entry.1 = true;
                        prop_assert_eq!(tracker.completed(EPOCH, entry.0), was_open);
                    }
                    Action::CompleteStale { pick } if !model.is_empty() => {
                        let offset = model[pick.index(model.len())].0;
                        prop_assert!(!tracker.completed(AssignmentEpoch(6), offset));
                    }
                    Action::CompleteUnknown { offset } if model.iter().all(|(known, _)| *known != offset) => {
                        prop_assert!(!tracker.completed(EPOCH, offset));
                    }
                    Action::Commit => {
                        if let Some(next) = tracker.to_commit() {
                            tracker.commit_sent(next);
                            committed = Some(next.as_commit());
                        }
                    }
                    _ => {}
                }
                let prefix = model.iter().take_while(|(_, done)| *done).last().map(|(offset, _)| offset + 1);
                let expected = prefix.filter(|next| committed.is_none_or(|sent| sent < *next));
                prop_assert_eq!(tracker.to_commit().map(NextOffset::as_commit), expected);
                prop_assert_eq!(tracker.open(), model.iter().filter(|(_, done)| !done).count());
                if let Some(sent) = committed {
                    prop_assert!(model.iter().all(|(offset, done)| *done || *offset >= sent));
                }
            }
        }
    }
}
