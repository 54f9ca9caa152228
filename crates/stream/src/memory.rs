//! What the records in hand may take, over all members of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prunella_model::ByteSize;
use prunella_telemetry::metrics;

/// One per process, shared by its members. What one holds, the others have not.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Budget>);

struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl MemoryBudget {
    pub fn new(limit: ByteSize) -> Self {
        metrics::MEMORY_BUDGET.set(i64::try_from(limit.bytes()).unwrap_or(i64::MAX));
        Self(Arc::new(Budget { limit: limit.as_usize(), held: AtomicUsize::new(0) }))
    }

    /// For one member. Up to `floor` bytes are its own, whatever the others hold: a stage that waits must not starve
    /// the others, or nothing that they wait for would ever come.
    pub(crate) fn share(&self, floor: usize) -> MemoryShare {
        MemoryShare { budget: self.clone(), floor, held: 0 }
    }

    fn change(&self, by: impl FnOnce(&AtomicUsize) -> usize) {
        by(&self.0.held);
        metrics::MEMORY_HELD.set(i64::try_from(self.0.held.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
    }
}

/// What one member holds of the budget. Given back when dropped.
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
    floor: usize,
    held: usize,
}

impl MemoryShare {
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        self.budget.change(|held| held.fetch_add(bytes, Ordering::Relaxed));
    }

    pub(crate) fn release(&mut self, bytes: usize) {
        self.held -= bytes;
        self.budget.change(|held| held.fetch_sub(bytes, Ordering::Relaxed));
    }

    /// The process holds all it may, and this member more than its own.
    pub(crate) fn is_short(&self) -> bool {
        self.held >= self.floor && self.budget.0.held.load(Ordering::Relaxed) >= self.budget.0.limit
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.release(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_member_holds_the_others_have_not_except_for_their_own() {
        let budget = MemoryBudget::new(ByteSize::from_bytes(100));
        let (mut first, mut second) = (budget.share(10), budget.share(10));
        first.hold(95);
        assert!(!first.is_short() && !second.is_short());
        second.hold(5);
        assert!(first.is_short(), "all is held");
        assert!(!second.is_short(), "it has not had its own");
        second.hold(5);
        assert!(second.is_short());
        first.release(50);
        assert!(!first.is_short() && !second.is_short());
        second.hold(45);
        assert!(second.is_short());
        drop(first);
        assert!(!second.is_short(), "a member that is gone holds nothing");
    }
}
