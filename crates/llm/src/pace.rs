//! Requests in a minute.

use std::time::{Duration, Instant};

/// Spreads requests: as many as fit in ten seconds may come at once, the rest wait. (The generic cell rate algorithm.)
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    tolerance: Duration,
    /// When the next request would come if all kept the interval.
    next: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(per_minute: u32) -> Self {
        let interval = Duration::from_secs(60) / per_minute.max(1);
        Self { interval, tolerance: Duration::from_secs(10).saturating_sub(interval), next: None }
    }

    /// Takes a place, and says how long to wait for it; takes none if that is longer than `longest`.
    pub(crate) fn take(&mut self, now: Instant, longest: Duration) -> Result<Duration, Duration> {
        let next = self.next.map_or(now, |next| next.max(now));
        let wait = (next - now).saturating_sub(self.tolerance);
        if wait > longest {
            return Err(wait);
        }
        self.next = Some(next + self.interval);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_keeps_the_pace() {
        let (mut pace, start) = (Pace::new(60), Instant::now());
        let waits: Vec<u64> = (0..13).map(|_| pace.take(start, Duration::MAX).expect("a place").as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]);
        assert_eq!(pace.take(start, Duration::from_secs(3)), Err(Duration::from_secs(4)));
        // What took no place delays nobody.
        assert_eq!(pace.take(start, Duration::from_secs(4)), Ok(Duration::from_secs(4)));
        assert_eq!(pace.take(start + Duration::from_secs(60), Duration::ZERO), Ok(Duration::ZERO));
    }

    #[test]
    fn a_slow_pace_lets_one_pass_at_a_time() {
        let (mut pace, start) = (Pace::new(1), Instant::now());
        assert_eq!(pace.take(start, Duration::ZERO), Ok(Duration::ZERO));
        assert_eq!(pace.take(start, Duration::ZERO), Err(Duration::from_secs(60)));
    }
}
