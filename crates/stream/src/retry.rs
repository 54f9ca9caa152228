use std::time::Duration;

/// Exponential backoff with full jitter on the upper half, so that many retries do not march in step.
///
/// ```
/// use std::time::Duration;
/// use prunella_stream::Backoff;
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// let third = backoff.delay(3);
/// assert!(third >= Duration::from_millis(200) && third <= Duration::from_millis(400));
/// assert!(backoff.delay(60) <= Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    initial: Duration,
    longest: Duration,
}

impl Backoff {
    pub fn new(initial: Duration, longest: Duration) -> Self {
        Self { initial, longest }
    }

    /// How long to wait after failure number `failures` (from 1).
    pub fn delay(&self, failures: u32) -> Duration {
        let doubled = self.initial.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.longest).mul_f64(rand::random_range(0.5..=1.0))
    }
}
