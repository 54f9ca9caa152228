use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Keeps work at so many pieces a second, without making up for time that was lost.
#[derive(Debug)]
pub struct Pace {
    rate: NonZeroU32,
    next: Instant,
}

impl Pace {
    pub fn new(rate: NonZeroU32) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// Pieces of a fifth of a second: what is sensible to do at a time.
    pub fn portion(&self) -> usize {
        (self.rate.get() as usize / 5).clamp(1, 2000)
    }

    /// Notes `pieces` that are about to be done, and says how long to wait before.
    pub fn take(&mut self, pieces: usize, now: Instant) -> Duration {
        let start = self.next.max(now);
        self.next = start + Duration::from_secs_f64(pieces as f64 / f64::from(self.rate.get()));
        start.saturating_duration_since(now)
    }

    /// Waits until `pieces` more may be done.
    pub async fn wait(&mut self, pieces: usize) {
        tokio::time::sleep(self.take(pieces, Instant::now())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_spread_and_idle_time_is_not_made_up_for() {
        let mut pace = Pace::new(NonZeroU32::new(100).expect("not zero"));
        let start = Instant::now();
        assert_eq!(pace.take(50, start), Duration::ZERO);
        assert_eq!(pace.take(50, start), Duration::from_millis(500));
        assert_eq!(pace.take(1, start + Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(pace.take(1, start + Duration::from_secs(60)), Duration::from_millis(10));
        assert_eq!((pace.portion(), Pace::new(NonZeroU32::MIN).portion()), (20, 1));
    }
}
