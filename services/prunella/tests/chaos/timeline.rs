use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What happened when, for whoever has to understand a failure.
pub(crate) struct Timeline {
    began: Instant,
    entries: Mutex<Vec<(Duration, String)>>,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), entries: Mutex::default() }
    }

    pub(crate) fn note(&self, what: impl Into<String>) {
        let entry = (self.began.elapsed(), what.into());
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    pub(crate) fn print(&self) {
        for (at, what) in self.entries.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            eprintln!("  {:7.2} s  {what}", at.as_secs_f64());
        }
    }
}
