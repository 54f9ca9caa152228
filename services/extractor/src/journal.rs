//! What the extractions of one home partition have come to: shared by the home, which is asked, and
//! its jobs, which do the work.

use std::collections::HashMap;
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
pub(crate) struct Journal(Arc<Mutex<HashMap<String, Entry>>>);

/// Key of an extraction in the journal and in its topic.
pub(crate) fn key_of(at: &StepRef) -> String {
    format!("{}/{}/{}", at.run, at.step, at.attempt)
}

impl Journal {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
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

    /// When the oldest finished extraction can be forgotten.
    pub(crate) fn next_forgotten(&self) -> Option<i64> {
        let entries = self.lock();
        entries.values().filter(|entry| is_over(entry)).map(forgotten_at).min()
    }

    /// Takes the keys of finished extractions whose time has come.
    pub(crate) fn take_forgotten(&self, now: i64) -> Vec<String> {
        let mut entries = self.lock();
        let due = |entry: &Entry| is_over(entry) && forgotten_at(entry) <= now;
        let keys: Vec<String> = entries.iter().filter(|(_, entry)| due(entry)).map(|(key, _)| key.clone()).collect();
        entries.retain(|key, _| !keys.contains(key));
        keys
    }
}

/// An extraction of a run that is over by its deadline is over too, however it stands.
fn is_over(entry: &Entry) -> bool {
    !entry.running
}

fn forgotten_at(entry: &Entry) -> i64 {
    entry.extraction.deadline.saturating_add(REMEMBERED)
}
