use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use prunella_model::RunId;
use prunella_stream::{KafkaSettings, StreamError, Tail, TailFrom, Tailed};
use prunella_wire::records::{CancelNotice, StepPause};
use prunella_wire::{Codec, ControlRecord, WireError};

use crate::Guard;

/// How long a run is remembered as ended: longer than any record of it stays in a stage topic's queue
/// on a healthy cluster. Work that comes later is done for nothing, never wrongly.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Runs that ended while stages may still be busy with them, heard on `stage.control`.
pub struct CancelledRuns {
    runs: Mutex<HashMap<RunId, Instant>>,
    /// Cancelled and replaced at each notice, so that waiting work looks again.
    news: Mutex<CancellationToken>,
}

enum Notice {
    Cancelled(CancelNotice),
    Paused(StepPause),
}

async fn read(codec: &Codec, value: &[u8]) -> Result<Notice, WireError> {
    let opened = codec.open(value).await?;
    if opened.name() == StepPause::NAME {
        return Ok(Notice::Paused(opened.read()?));
    }
    Ok(Notice::Cancelled(opened.read()?))
}

impl CancelledRuns {
    /// Follows the control topic from now on; `guard` hears of paused steps.
    pub async fn follow(
        kafka: &KafkaSettings,
        topic: &str,
        codec: Arc<Codec>,
        guard: Arc<Guard>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, StreamError> {
        let mut tail = Tail::start(kafka, topic, TailFrom::End).await?;
        let cancelled = Arc::new(Self { runs: Mutex::default(), news: Mutex::new(CancellationToken::new()) });
        let known = cancelled.clone();
        tokio::spawn(async move {
            loop {
                let tailed = tokio::select! {
                    tailed = tail.next() => tailed,
                    () = stop.cancelled() => return,
                };
                let Some(tailed) = tailed else { return };
                let Tailed::Record(record) = tailed else { continue };
                let Some(value) = record.value else { continue };
                match read(&codec, &value).await {
                    Ok(Notice::Cancelled(notice)) => known.add(notice.run),
                    Ok(Notice::Paused(pause)) => guard.hear(&pause),
                    Err(error) => tracing::warn!(code = error.code().id(), %error, "a notice was left alone"),
                }
            }
        });
        Ok(cancelled)
    }

    fn add(&self, run: RunId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|_, since| since.elapsed() < REMEMBERED);
        runs.insert(run, Instant::now());
        drop(runs);
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *news, CancellationToken::new()).cancel();
    }

    pub fn contains(&self, run: &RunId) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).contains_key(run)
    }

    /// Waits until `run` is cancelled.
    pub async fn cancelled(&self, run: &RunId) {
        loop {
            let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if self.contains(run) {
                return;
            }
            news.cancelled().await;
        }
    }
}
