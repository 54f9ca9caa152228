//! What the live runs of a process take of its memory, and whose triggers wait because of it.
//!
//! Invariants:
//! 1. every live run is accounted for exactly once, as long as it is kept ([`Held`] gives back what it holds when dropped);
//! 2. a workflow that holds little may start runs while others hold too much, until all together hold twice the limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prunella_model::{ByteSize, WorkflowName, WorkspaceName};
use prunella_telemetry::metrics::RUNS_LIVE_BYTES;

/// A workflow with more than this part of the limit waits when the limit is reached.
const SHARES: usize = 8;
/// How much of the limit has to be free again before triggers that wait go on, in quarters.
const FREE_QUARTERS: usize = 1;

type Workflow = (WorkspaceName, WorkflowName);

/// One per process, shared by its homes.
#[derive(Clone)]
pub(crate) struct RunMemory(Arc<Shared>);

struct Shared {
    limit: usize,
    held: Arc<AtomicUsize>,
    accounts: Mutex<HashMap<Workflow, Arc<Account>>>,
}

struct Account {
    all: Arc<AtomicUsize>,
    own: AtomicUsize,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    None,
    /// Workflows that hold more than their share wait.
    Short,
    /// All wait.
    Out,
}

impl RunMemory {
    pub(crate) fn new(limit: ByteSize) -> Self {
        Self(Arc::new(Shared { limit: limit.as_usize(), held: Arc::default(), accounts: Mutex::default() }))
    }

    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    pub(crate) fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Accounts for a run of `bytes`.
    pub(crate) fn hold(&self, workspace: &WorkspaceName, workflow: &WorkflowName, bytes: usize) -> Held {
        let mut accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Account { all: self.0.held.clone(), own: AtomicUsize::new(0) });
        let account = accounts.entry((workspace.clone(), workflow.clone())).or_insert_with(new).clone();
        let mut held = Held { account, bytes: 0 };
        held.resize(bytes);
        held
    }

    /// How much there is now, after `before`: what went short has enough again when a part of it is free.
    pub(crate) fn pressure(&self, before: Pressure) -> Pressure {
        let (held, limit) = (self.held(), self.0.limit);
        let enough = if before == Pressure::None { limit } else { limit - limit / 4 * FREE_QUARTERS };
        if held >= limit.saturating_mul(2) {
            Pressure::Out
        } else if held >= enough {
            Pressure::Short
        } else {
            Pressure::None
        }
    }

    pub(crate) fn has_more_than_its_share(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> bool {
        let accounts = self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts.get(&(workspace.clone(), workflow.clone()));
        account.is_some_and(|account| account.own.load(Ordering::Relaxed) >= self.0.limit / SHARES)
    }
}

/// What one live run holds.
pub(crate) struct Held {
    account: Arc<Account>,
    bytes: usize,
}

impl Held {
    pub(crate) fn resize(&mut self, bytes: usize) {
        for count in [&self.account.own, &*self.account.all] {
            count.fetch_add(bytes, Ordering::Relaxed);
            count.fetch_sub(self.bytes, Ordering::Relaxed);
        }
        RUNS_LIVE_BYTES.add(i64::try_from(bytes).unwrap_or(i64::MAX) - i64::try_from(self.bytes).unwrap_or(i64::MAX));
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(workflow: &str) -> Workflow {
        ("default".parse().expect("a name"), workflow.parse().expect("a name"))
    }

    fn hold(memory: &RunMemory, workflow: &str, bytes: usize) -> Held {
        let (workspace, workflow) = named(workflow);
        memory.hold(&workspace, &workflow, bytes)
    }

    fn waits(memory: &RunMemory, workflow: &str) -> bool {
        let (workspace, workflow) = named(workflow);
        memory.has_more_than_its_share(&workspace, &workflow)
    }

    #[test]
    fn a_workflow_with_much_waits_before_one_with_little_and_goes_on_when_some_is_free() {
        let memory = RunMemory::new(ByteSize::from_bytes(100));
        let mut much = hold(&memory, "much", 95);
        let little = hold(&memory, "little", 4);
        assert_eq!(memory.pressure(Pressure::None), Pressure::None);
        let more = hold(&memory, "little", 1);
        assert_eq!(memory.pressure(Pressure::None), Pressure::Short);
        assert!(waits(&memory, "much") && !waits(&memory, "little") && !waits(&memory, "unheard-of"));
        much.resize(195);
        assert_eq!(memory.pressure(Pressure::Short), Pressure::Out);
        much.resize(70);
        assert_eq!(memory.pressure(Pressure::Out), Pressure::Short, "not yet");
        much.resize(69);
        assert_eq!(memory.pressure(Pressure::Short), Pressure::None);
        drop((much, little, more));
        assert_eq!(memory.held(), 0);
        assert!(!waits(&memory, "much"));
    }
}
