//! Leaves a provider alone that fails.

use std::time::{Duration, Instant};

use crate::settings::BreakerSettings;

/// Closed: calls pass. Open: none does. Half open: one is on its way, and decides.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0 } }
    }

    /// Lets a call pass, or says how long none does. Each call that passes has to be reported on.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen;
                Ok(())
            }
            State::Open { until } => Err(until - now),
            State::HalfOpen => Err(self.settings.pause.duration()),
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures => {
                State::Closed { failures: failures + 1 }
            }
            _ => State::Open { until: now + self.settings.pause.duration() },
        };
    }

    /// Nobody waits for the outcome any more: the next call may try.
    pub(crate) fn abandoned(&mut self, now: Instant) {
        if self.state == State::HalfOpen {
            self.state = State::Open { until: now };
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prunella_model::Period;

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerSettings { failures: 3, pause: Period::from_secs(60) }), Instant::now())
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_a_success() {
        let (mut breaker, start) = breaker();
        for _ in 0..2 {
            breaker.failed(start);
        }
        breaker.succeeded();
        for _ in 0..3 {
            assert!(breaker.admit(start).is_ok());
            breaker.failed(start);
        }
        assert_eq!(breaker.admit(start + Duration::from_secs(20)), Err(Duration::from_secs(40)));
        let later = start + Duration::from_secs(60);
        assert!(breaker.admit(later).is_ok());
        assert!(breaker.admit(later).is_err(), "one at a time");
        breaker.succeeded();
        assert!(breaker.admit(later).is_ok() && !breaker.is_open());
    }

    #[test]
    fn a_failed_trial_opens_it_again_and_an_abandoned_one_lets_the_next_try() {
        let (mut breaker, start) = breaker();
        for _ in 0..3 {
            breaker.failed(start);
        }
        let later = start + Duration::from_secs(61);
        assert!(breaker.admit(later).is_ok());
        breaker.failed(later);
        assert_eq!(breaker.admit(later), Err(Duration::from_secs(60)));
        let latest = later + Duration::from_secs(60);
        assert!(breaker.admit(latest).is_ok());
        breaker.abandoned(latest);
        assert!(breaker.admit(latest).is_ok());
    }
}
