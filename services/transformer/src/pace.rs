//! Where mappings are evaluated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prunella_stream::Workbench;

/// Work that takes longer than this as a rule is done where it holds up no other task.
const QUICK: Duration = Duration::from_micros(500);
/// What is expected before anything was seen.
const FIRST_GUESS: Duration = Duration::from_micros(100);
/// Longest expectation: a mapping that became quick is believed after a hundred items.
const LONGEST: Duration = Duration::from_secs(1);

/// Decides where pure computing is done: quick work right here, because moving the other tasks over to another thread
/// costs more than the work itself.
#[derive(Debug)]
pub struct Pace {
    /// Four of five pieces take at most this long. Not the mean: on a busy machine a piece of microseconds now and then
    /// loses its processor for milliseconds, and giving the thread away for that would make the machine busier still.
    expected_nanos: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { expected_nanos: AtomicU64::new(nanos(FIRST_GUESS)) }
    }
}

impl Pace {
    /// Does `work` right here, or on `workbench` when it is expected to take long.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        workbench: &Workbench,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let timed = || {
            let started = Instant::now();
            (work(), started.elapsed())
        };
        let (done, took) = if self.is_quick() { timed() } else { workbench.run(timed).await };
        self.took(took);
        done
    }

    fn is_quick(&self) -> bool {
        self.expected_nanos.load(Ordering::Relaxed) <= nanos(QUICK)
    }

    /// Moves the expectation up by a step for what took longer and down by a quarter of it for what did not, on a
    /// logarithmic scale: it rests where one piece of five takes longer.
    fn took(&self, took: Duration) {
        let expected = self.expected_nanos.load(Ordering::Relaxed);
        let moved = if nanos(took) > expected { expected * 7 / 5 } else { expected * 23 / 25 };
        // It may lose a step of another thread.
        self.expected_nanos.store(moved.clamp(1_000, nanos(LONGEST)), Ordering::Relaxed);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    fn after(takes: impl Iterator<Item = u64>) -> Pace {
        let pace = Pace::default();
        takes.for_each(|micros| pace.took(Duration::from_micros(micros)));
        pace
    }

    #[test]
    fn quick_work_that_is_interrupted_now_and_then_is_quick() {
        assert!(after((0..1000).map(|n| if n % 10 == 0 { 8_000 } else { 30 })).is_quick());
    }

    #[test]
    fn slow_work_is_recognised_within_a_few_pieces_and_quick_work_again() {
        assert!(!after([2_000; 6].into_iter()).is_quick());
        assert!(!after((0..1000).map(|n| if n % 3 == 0 { 20_000 } else { 30 })).is_quick(), "a third of it is slow");
        assert!(after([20_000; 100].into_iter().chain([30; 100])).is_quick());
    }
}
