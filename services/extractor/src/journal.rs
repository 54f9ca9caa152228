//! What the extractions of one home partition have come to: shared by the home, which is asked, and
//! its jobs, which do the work.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexSet;

use prunella_model::RunKey;
use prunella_stream::homes::{Remembered, RememberedKey};
use prunella_wire::records::{Extraction, StepRef};

/// How long a finished extraction is remembered after its run's deadline: a late request for it must
/// find that it is done.
const REMEMBERED: i64 = 3_600_000;
/// Extractions that are forgotten at a time: their tombstones are in memory until they are sent.
const FORGOTTEN_AT_ONCE: usize = 1024;

pub(crate) struct Live {
    pub(crate) extraction: Box<Extraction>,
    pub(crate) running: bool,
    /// When it is looked at again, and given up if it does not run.
    forgotten_at: i64,
}

/// What whoever asks again is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Of batches not as many as `u32` can count are ever written.
    Ended {
        batches: u32,
        items: i64,
    },
    Failed,
}

impl Over {
    fn of(extraction: &Extraction) -> Option<Self> {
        match extraction {
            Extraction { failed: true, .. } => Some(Self::Failed),
            Extraction { ended: true, next_batch, items, .. } => {
                Some(Self::Ended { batches: u32::try_from(next_batch.0).unwrap_or(u32::MAX), items: *items })
            }
            _ => None,
        }
    }
}

pub(crate) enum Entry<'a> {
    Live(&'a mut Live),
    Over(Over),
}

#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Entries>>);

type Key = Arc<str>;

#[derive(Default)]
pub(crate) struct Entries {
    live: HashMap<Key, Live>,
    /// When each of them is to be forgotten, soonest first.
    forgotten: BTreeSet<(i64, Key)>,
    /// Remembered for hours, and there are many: nothing but the answer.
    over: Remembered<OverKey, Over>,
    /// What follows the run in keys: the same few in all runs of a workflow.
    rests: IndexSet<Box<str>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OverKey {
    run: RunKey,
    /// Its place among them.
    rest: u32,
}

impl RememberedKey for OverKey {
    fn prefix(&self) -> u32 {
        self.run.prefix()
    }

    fn least(prefix: u32) -> Self {
        Self { run: RunKey::least(prefix), rest: 0 }
    }
}

/// There is no memory for more of them.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Key of an extraction in the journal and in its topic.
pub(crate) fn key_of(at: &StepRef) -> String {
    format!("{}/{}/{}", at.run, at.step, at.attempt)
}

impl Entries {
    fn over_key(&self, key: &str) -> Option<OverKey> {
        let (run, rest) = key.split_once('/')?;
        Some(OverKey { run: RunKey::of_text(run)?, rest: place(self.rests.get_index_of(rest)?) })
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<Entry<'_>> {
        if let Some(over) = self.over_key(key).and_then(|key| self.over.get(&key)) {
            return Some(Entry::Over(*over));
        }
        self.live.get_mut(key).map(Entry::Live)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.live.contains_key(key) || self.over_key(key).is_some_and(|key| self.over.contains(&key))
    }

    pub(crate) fn live_mut(&mut self) -> impl Iterator<Item = &mut Live> {
        self.live.values_mut()
    }

    /// Notes how far an extraction is, in place of what was noted before.
    pub(crate) fn insert(&mut self, key: &str, extraction: &Extraction, running: bool) {
        self.remove(key);
        let forgotten_at = extraction.deadline.saturating_add(REMEMBERED);
        if let Some(over) = Over::of(extraction) {
            let rest = format!("{}/{}", extraction.at.step, extraction.at.attempt);
            let (rest, _) = self.rests.insert_full(rest.into());
            let key = OverKey { run: (&extraction.at.run).into(), rest: place(rest) };
            self.over.insert(key, forgotten_at, over);
            return;
        }
        let key: Key = key.into();
        self.forgotten.insert((forgotten_at, key.clone()));
        self.live.insert(key, Live { extraction: Box::new(extraction.clone()), running, forgotten_at });
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some((key, live)) = self.live.remove_entry(key) {
            self.forgotten.remove(&(live.forgotten_at, key));
        }
        if let Some(key) = self.over_key(key) {
            self.over.remove(&key);
        }
    }

    /// Takes the key of one whose time has come. One that still runs, so long after the end of its run, is looked at
    /// again later.
    fn take_forgotten(&mut self, now: i64) -> Option<String> {
        if let Some((key, _)) = self.over.pop_due(now) {
            return Some(format!("{}/{}", key.run, self.rests.get_index(key.rest as usize)?));
        }
        loop {
            let (_, key) = self.forgotten.first().filter(|(at, _)| *at <= now)?;
            let key = key.clone();
            let Some(live) = self.live.get_mut(&key).filter(|live| live.running) else {
                self.remove(&key);
                return Some(key.to_string());
            };
            let before = std::mem::replace(&mut live.forgotten_at, now.saturating_add(REMEMBERED));
            let again = (live.forgotten_at, key.clone());
            self.forgotten.remove(&(before, key));
            self.forgotten.insert(again);
        }
    }
}

impl Journal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how far a running extraction is.
    pub(crate) fn update(&self, extraction: &Extraction) {
        let (key, mut entries) = (key_of(&extraction.at), self.lock());
        match entries.live.get_mut(&*key) {
            Some(live) if Over::of(extraction).is_none() => *live.extraction = extraction.clone(),
            Some(_) => entries.insert(&key, extraction, false),
            // Its partition has moved.
            None => {}
        }
    }

    /// A job is over, for whatever reason.
    pub(crate) fn stopped(&self, at: &StepRef) {
        if let Some(live) = self.lock().live.get_mut(&*key_of(at)) {
            live.running = false;
        }
    }

    /// When the oldest extraction can be forgotten.
    pub(crate) fn next_forgotten(&self) -> Option<i64> {
        let entries = self.lock();
        let live = entries.forgotten.first().map(|(at, _)| *at);
        live.into_iter().chain(entries.over.next_due()).min()
    }

    /// Takes keys of extractions whose time has come.
    pub(crate) fn take_forgotten(&self, now: i64) -> Vec<String> {
        let mut entries = self.lock();
        std::iter::from_fn(|| entries.take_forgotten(now)).take(FORGOTTEN_AT_ONCE).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use prunella_model::{Attempt, BatchNumber, RunId, RunOrigin, WorkflowVersion, WorkspaceName};
    use prunella_wire::Payload;
    use prunella_wire::records::RunContext;

    use super::*;

    fn extraction(key: &str, deadline: i64) -> Extraction {
        let (workspace, workflow) = (WorkspaceName::default_workspace(), "orders".parse().expect("a name"));
        let run = RunId::derive(&workspace, &workflow, RunOrigin::IdempotencyKey(key));
        let step = "all".parse().expect("a name");
        let at = StepRef { workspace, workflow, version: WorkflowVersion(1), run, step, attempt: Attempt::FIRST };
        let trigger = Payload::Inline(Bytes::from_static(b"{}"));
        Extraction {
            at,
            deadline,
            context: RunContext { trigger, steps: Vec::new() },
            cursor: None,
            page_batches: 0,
            next_batch: BatchNumber(3),
            items: 7,
            ended: false,
            failed: false,
            tries: 0,
            retry_at: None,
            requested_at: 0,
            updated_at: 0,
            traceparent: None,
            request_offset: 0,
        }
    }

    #[test]
    fn what_is_over_keeps_its_answer_and_is_forgotten_in_time() {
        let journal = Journal::default();
        let (first, second) = (extraction("first", 10), extraction("second", 20));
        for each in [&first, &second] {
            journal.lock().insert(&key_of(&each.at), each, true);
        }
        journal.update(&Extraction { ended: true, ..first.clone() });
        let answer = |journal: &Journal| match journal.lock().get_mut(&key_of(&first.at)) {
            Some(Entry::Over(over)) => Some(over),
            _ => None,
        };
        assert_eq!(answer(&journal), Some(Over::Ended { batches: 3, items: 7 }));
        assert_eq!(journal.next_forgotten(), Some(20 + REMEMBERED), "the second one");
        assert!(journal.take_forgotten(10 + REMEMBERED).is_empty(), "the first one has some seconds more");
        let later = 60_000 + REMEMBERED;
        assert_eq!(journal.take_forgotten(later), [key_of(&first.at)], "the second one runs");
        assert_eq!(answer(&journal), None);
        journal.stopped(&second.at);
        assert_eq!(journal.next_forgotten(), Some(later + REMEMBERED));
        assert_eq!(journal.take_forgotten(later + REMEMBERED), [key_of(&second.at)]);
        assert_eq!(journal.next_forgotten(), None);
    }
}
