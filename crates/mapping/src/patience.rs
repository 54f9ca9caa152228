//! How long an evaluation may take. The engine counts by the clock, which goes on while the machine or the process
//! stands still; an item must not fail for that.

use std::time::Duration;

use prunella_model::Period;
use rustix::time::{ClockId, clock_gettime};

use crate::{EvalError, LimitKind, Limits};

/// Evaluations after one that ran out of time, at most. Each but the first of them has twice the time of the one before.
const AGAIN: u32 = 6;

/// Evaluates, and again if its time ran out before it had three quarters of it on a processor. What never ends is found
/// out by the second evaluation.
pub(crate) fn patiently<R>(
    limits: &Limits,
    evaluate: impl Fn(&Limits) -> Result<R, EvalError>,
) -> Result<R, EvalError> {
    let mut outcome = evaluate(limits);
    let mut patience = limits.timeout.duration();
    for _ in 0..AGAIN {
        if !ran_out_of_time(&outcome) {
            return outcome;
        }
        let before = time_on_processor();
        outcome = evaluate(&Limits { timeout: Period::from(patience), ..limits.clone() });
        if time_on_processor().saturating_sub(before) >= limits.timeout.duration() * 3 / 4 {
            break;
        }
        patience *= 2;
    }
    // The limit is what was configured, however long this one had.
    if ran_out_of_time(&outcome) { Err(LimitKind::Timeout.error(limits)) } else { outcome }
}

fn ran_out_of_time<R>(outcome: &Result<R, EvalError>) -> bool {
    matches!(outcome, Err(EvalError::Limit { kind: LimitKind::Timeout, .. }))
}

/// Of this thread.
fn time_on_processor() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    fn limits(timeout: Period) -> Limits {
        Limits { timeout, ..Limits::default() }
    }

    /// Counts its evaluations and says so.
    fn evaluated<R>(
        limits: &Limits,
        evaluate: impl Fn(u32, &Limits) -> Result<R, EvalError>,
    ) -> (u32, Result<R, EvalError>) {
        let count = Cell::new(0);
        let outcome = patiently(limits, |limits| {
            count.set(count.get() + 1);
            evaluate(count.get(), limits)
        });
        (count.get(), outcome)
    }

    fn out_of_time<R>(limits: &Limits) -> Result<R, EvalError> {
        Err(LimitKind::Timeout.error(limits))
    }

    #[test]
    fn time_that_stands_still_is_not_the_evaluations() {
        let limits = limits(Period::from_secs(1));
        let stands_still = |count, limits: &Limits| if count < 3 { out_of_time(limits) } else { Ok(count) };
        assert_eq!(evaluated(&limits, stands_still), (3, Ok(3)));
    }

    #[test]
    fn what_has_a_part_of_a_processor_gets_more_time_but_not_for_ever() {
        let limits = limits(Period::from_millis(10));
        let needs = |time: u64| {
            move |_, limits: &Limits| match limits.timeout >= Period::from_millis(time) {
                true => Ok(()),
                false => out_of_time(limits),
            }
        };
        assert_eq!(evaluated(&limits, needs(160)), (6, Ok(())));
        assert_eq!(evaluated(&limits, needs(10_000)), (7, out_of_time(&limits)), "as it is configured");
    }

    #[test]
    fn what_never_ends_is_found_out_soon() {
        let limits = limits(Period::from_millis(20));
        let runs = |_, limits: &Limits| {
            let started = Instant::now();
            while started.elapsed() < limits.timeout.duration() {}
            out_of_time::<()>(limits)
        };
        // On a busy machine it has its part of a processor only.
        let (count, outcome) = evaluated(&limits, runs);
        assert!((2..=5).contains(&count), "{count} evaluations");
        assert_eq!(outcome, out_of_time(&limits));
    }

    #[test]
    fn other_errors_and_results_are_taken_as_they_are() {
        let limits = Limits::default();
        assert_eq!(evaluated(&limits, |_, _| Err::<(), _>(EvalError::Undefined)), (1, Err(EvalError::Undefined)));
        assert_eq!(evaluated(&limits, |count, _| Ok(count)), (1, Ok(1)));
        let steps = |_, limits: &Limits| Err::<(), _>(LimitKind::Steps.error(limits));
        assert_eq!(evaluated(&limits, steps).0, 1);
    }
}
