//! Who waits for which run.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prunella_model::RunId;
use tokio::sync::watch;

/// A channel per run that somebody waits for; dropped with its last waiter.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<RunId, watch::Sender<()>>>);

impl Waiters {
    pub(crate) fn subscribe(&self, run: &RunId) -> watch::Receiver<()> {
        self.lock().entry(run.clone()).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    /// The view has something new about these runs.
    pub(crate) fn notify<'r>(&self, runs: impl Iterator<Item = &'r RunId>) {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        for run in runs {
            if let Some(sender) = waiting.get(run) {
                sender.send_replace(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
