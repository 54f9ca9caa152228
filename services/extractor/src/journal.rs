//! What the extractions of one home partition have come to: shared by the home, which is asked, and
//! its jobs, which do the work.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_wire::records::{Extraction, StepRef};

/// How long a finished extraction is remembered after its run's deadline: a late request for it must
/// find that it is done.
const REMEMBERED: i64 = 3_600_000;

pub(crate) struct Entry {
    pub(crate) extraction: Extraction,
    pub(crate) running: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Entries>>);

#[derive(Default)]
pub(crate) struct Entries {
    by_key: HashMap<String, Entry>,
    /// When each can be forgotten, soonest first.
    forgotten: BTreeSet<(i64, String)>,
}

/// Key of an extraction in the journal and in its topic.
pub(crate) fn key_of(at: &StepRef) -> String {
    format!("{}/{}/{}", at.run, at.step, at.attempt)
}

impl Entries {
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.by_key.get_mut(key)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.by_key.values_mut()
    }

    pub(crate) fn insert(&mut self, key: String, entry: Entry) {
        self.remove(&key);
        self.forgotten.insert((forgotten_at(&entry), key.clone()));
        self.by_key.insert(key, entry);
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.forgotten.remove(&(forgotten_at(&entry), key.to_owned()));
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
            entry.extraction = extraction.clone();
        }
    }

    /// A job is over, for whatever reason.
    pub(crate) fn stopped(&self, at: &StepRef) {
        if let Some(entry) = self.lock().get_mut(&key_of(at)) {
            entry.running = false;
        }
    }

    /// When the oldest extraction can be forgotten.
    pub(crate) fn next_forgotten(&self) -> Option<i64> {
        self.lock().forgotten.first().map(|(at, _)| *at)
    }

    /// Takes the keys of the extractions whose time has come. One that still runs, so long after the end of its run,
    /// is looked at again later.
    pub(crate) fn take_forgotten(&self, now: i64) -> Vec<String> {
        let mut entries = self.lock();
        let mut taken = Vec::new();
        while let Some((at, key)) = entries.forgotten.pop_first() {
            if at > now {
                entries.forgotten.insert((at, key));
                break;
            }
            if entries.by_key.get(&key).is_some_and(|entry| entry.running) {
                entries.forgotten.insert((now.saturating_add(REMEMBERED), key));
                continue;
            }
            entries.by_key.remove(&key);
            taken.push(key);
        }
        taken
    }
}

fn forgotten_at(entry: &Entry) -> i64 {
    entry.extraction.deadline.saturating_add(REMEMBERED)
}
