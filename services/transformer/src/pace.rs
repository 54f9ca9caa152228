use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Work that takes longer than this on average is done where it holds up no other task.
const QUICK: Duration = Duration::from_micros(500);

/// Decides where pure computing is done: quick work right here, because moving the other tasks over to another thread
/// costs more than the work itself.
#[derive(Debug, Default)]
pub struct Pace {
    recent_micros: AtomicU64,
}

impl Pace {
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let recent = self.recent_micros.load(Ordering::Relaxed);
        let started = Instant::now();
        let done = if u128::from(recent) > QUICK.as_micros() { tokio::task::block_in_place(work) } else { work() };
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // A rough average is enough; it may lose an update of another thread.
        self.recent_micros.store(recent.saturating_mul(7).saturating_add(took) / 8, Ordering::Relaxed);
        done
    }
}
