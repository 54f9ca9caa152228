//! What the extractions of one home partition have come to: shared by the home, which is asked, and
//! its jobs, which do the work.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_wire::records::{Extraction, StepRef};

/// How long a finished extraction is remembered after its run's deadline: a late request for it must
/// find that it is done.
const REMEMBERED: i64 = 3_600_000;

pub(crate) enum Entry {
    Live {
        extraction: Box<Extraction>,
        running: bool,
    },
    /// Remembered for hours, and there are many: nothing but the answer to whoever asks again.
    Over(Over),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Ended { batches: i64, items: i64 },
    Failed,
}

impl Entry {
    pub(crate) fn of(extraction: &Extraction, running: bool) -> Self {
        if extraction.failed {
            Self::Over(Over::Failed)
        } else if extraction.ended {
            Self::Over(Over::Ended { batches: extraction.next_batch.0, items: extraction.items })
        } else {
            Self::Live { extraction: Box::new(extraction.clone()), running }
        }
    }

    fn is_running(&self) -> bool {
        matches!(self, Self::Live { running: true, .. })
    }
}

#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Entries>>);

type Key = Arc<str>;

#[derive(Default)]
pub(crate) struct Entries {
    /// Each with the time when it can be forgotten.
    by_key: HashMap<Key, (i64, Entry)>,
    /// The same times, soonest first.
    forgotten: BTreeSet<(i64, Key)>,
}

/// Key of an extraction in the journal and in its topic.
pub(crate) fn key_of(at: &StepRef) -> String {
    format!("{}/{}/{}", at.run, at.step, at.attempt)
}

impl Entries {
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.by_key.get_mut(key).map(|(_, entry)| entry)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.by_key.values_mut().map(|(_, entry)| entry)
    }

    /// Notes how far an extraction is, in place of what was noted before.
    pub(crate) fn insert(&mut self, key: &str, extraction: &Extraction, running: bool) {
        self.remove(key);
        let (key, forgotten_at): (Key, _) = (key.into(), extraction.deadline.saturating_add(REMEMBERED));
        self.forgotten.insert((forgotten_at, key.clone()));
        self.by_key.insert(key, (forgotten_at, Entry::of(extraction, running)));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some((key, (forgotten_at, _))) = self.by_key.remove_entry(key) {
            self.forgotten.remove(&(forgotten_at, key));
        }
    }
}

impl Journal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how far a running extraction is.
    pub(crate) fn update(&self, extraction: &Extraction) {
        if let Some(entry) = self.lock().get_mut(&key_of(&extraction.at)) {
            *entry = Entry::of(extraction, entry.is_running());
        }
    }

    /// A job is over, for whatever reason.
    pub(crate) fn stopped(&self, at: &StepRef) {
        if let Some(Entry::Live { running, .. }) = self.lock().get_mut(&key_of(at)) {
            *running = false;
        }
    }

    /// When the oldest extraction can be forgotten.
    pub(crate) fn next_forgotten(&self) -> Option<i64> {
        self.lock().forgotten.first().map(|(at, _)| *at)
    }

    /// Takes the keys of the extractions whose time has come. One that still runs, so long after the end of its run,
    /// is looked at again later.
    pub(crate) fn take_forgotten(&self, now: i64) -> Vec<Key> {
        let mut entries = self.lock();
        let mut taken = Vec::new();
        while let Some((at, key)) = entries.forgotten.pop_first() {
            if at > now {
                entries.forgotten.insert((at, key));
                break;
            }
            if let Some((forgotten_at, entry)) = entries.by_key.get_mut(&key)
                && entry.is_running()
            {
                *forgotten_at = now.saturating_add(REMEMBERED);
                let again = (*forgotten_at, key);
                entries.forgotten.insert(again);
                continue;
            }
            entries.by_key.remove(&key);
            taken.push(key);
        }
        taken
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
            Some(Entry::Over(over)) => Some(*over),
            _ => None,
        };
        assert_eq!(answer(&journal), Some(Over::Ended { batches: 3, items: 7 }));
        assert_eq!(journal.next_forgotten(), Some(10 + REMEMBERED));
        assert!(journal.take_forgotten(9 + REMEMBERED).is_empty());
        let taken = journal.take_forgotten(20 + REMEMBERED);
        assert_eq!(taken.iter().map(|key| &**key).collect::<Vec<_>>(), [key_of(&first.at)], "the second one runs");
        journal.stopped(&second.at);
        assert_eq!(journal.next_forgotten(), Some(20 + 2 * REMEMBERED));
        assert_eq!(journal.take_forgotten(20 + 2 * REMEMBERED).len(), 1);
        assert_eq!(journal.next_forgotten(), None);
    }
}
