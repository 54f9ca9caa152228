use std::future::Future;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use prunella_model::Code;
use prunella_telemetry::emit;

use crate::error::StreamError;
use crate::events::StageRestarted;
use crate::retry::Backoff;

/// A stage that ran this long was healthy: the next failure is the first of a new series.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// A stage that is fenced off this often without having been healthy between is in a tug of war.
const MOST_FENCINGS: u32 = 3;

/// Runs a stage until it ends by itself, and builds it anew after a failure: consumer, state and all.
/// A wrong configuration is not retried, nor a slot that another process uses as well.
///
/// # Errors
/// The [`StreamError`] that no retry can mend.
pub async fn supervise<F, R>(stage: &str, stop: &CancellationToken, mut start: F) -> Result<(), StreamError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<(), StreamError>>,
{
    let backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
    let (mut failures, mut fencings) = (0, 0);
    loop {
        let started = Instant::now();
        let Err(error) = start().await else { return Ok(()) };
        if stop.is_cancelled() || error.code() == Code::Config {
            return Err(error);
        }
        if started.elapsed() > HEALTHY_AFTER {
            (failures, fencings) = (0, 0);
        }
        failures += 1;
        fencings += u32::from(matches!(error, StreamError::Fenced { .. }));
        if fencings >= MOST_FENCINGS {
            return Err(error);
        }
        let wait = backoff.delay(failures);
        emit(StageRestarted { stage, error: &error, wait });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return Err(error),
        }
    }
}
