//! The driver of stages without state: records of one lane in order, lanes side by side.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use prunella_model::{Code, Route};
use prunella_telemetry::emit;

use crate::chaos::{self, Point, Sabotage, sabotaged};
use crate::dead_letter::DeadLetter;
use crate::error::StreamError;
use crate::events::{RecordDone, RecordFailed};
use crate::homes::now_millis;
use crate::member::{Member, MemberEvent, MemberHandle};
use crate::outlet::Outlet;
use crate::output::OutputError;
use crate::record::{OutRecord, Record};
use crate::retry::Backoff;
use crate::settings::RuntimeSettings;
use crate::stage::{Stage, StageError, without_panic};
use crate::transactor::Owner;

/// Runs `stage` until `stop` is cancelled and the work in flight is drained.
///
/// # Errors
/// [`StreamError`] when the member or the output fails; whatever was not committed is taken again by
/// the next member.
pub async fn run<S: Stage>(
    mut member: Member,
    stage: Arc<S>,
    system_dead_letters: Arc<str>,
    stop: CancellationToken,
) -> Result<(), StreamError> {
    let worker = Arc::new(Worker {
        stage,
        outlet: member.outlet.clone(),
        handle: member.handle(),
        runtime: member.runtime.clone(),
        system_dead_letters,
    });
    // Queues are unbounded in type and bounded in fact: the member takes no more records than its limits.
    let mut shards: Vec<UnboundedSender<Record>> = Vec::new();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..member.runtime.shards.max(1) {
        let (sender, records) = unbounded_channel();
        shards.push(sender);
        tasks.spawn(worker.clone().run_shard(records));
    }
    let mut stopping = false;
    let result = loop {
        let overdue = member.overdue();
        let event = tokio::select! {
            event = member.events.recv() => event,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                member.stop();
                continue;
            }
            () = overdue => break Ok(()),
        };
        match event {
            Some(MemberEvent::Record(record)) => {
                let lane =
                    if sabotaged(Sabotage::MixLanes) { record.offset as u64 } else { worker.stage.lane(&record) };
                let shard = (lane % shards.len() as u64) as usize;
                if shards[shard].send(record).is_err() {
                    break Err(worker.shard_ended());
                }
            }
            Some(MemberEvent::Assigned(_)) => {}
            // Work in flight of a revoked partition may finish; the member waits for its completions.
            Some(MemberEvent::Revoked { released, .. }) => {
                let _ = released.try_send(());
            }
            Some(MemberEvent::Failed(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    tasks.shutdown().await;
    member.ended().await;
    result
}

struct Worker<S> {
    stage: Arc<S>,
    outlet: Outlet,
    handle: MemberHandle,
    runtime: RuntimeSettings,
    system_dead_letters: Arc<str>,
}

impl<S: Stage> Worker<S> {
    async fn run_shard(self: Arc<Self>, mut records: UnboundedReceiver<Record>) {
        while let Some(record) = records.recv().await {
            let started = Instant::now();
            let Some(written) = self.outcome(&record).await else { return };
            emit(RecordDone { stage: self.handle.stage(), record: &record, took: started.elapsed() });
            chaos::at(self.handle.stage(), Point::Decided);
            self.write(record, written).await;
        }
    }

    /// What to write for `record`: its outcome, or its dead letter. `None` when the stage stopped.
    async fn outcome(&self, record: &Record) -> Option<Vec<OutRecord>> {
        let backoff = Backoff::new(self.runtime.backoff.duration(), self.runtime.max_backoff.duration());
        let mut attempt = 1;
        loop {
            let error = match without_panic(self.stage.process(record)).await {
                Ok(outcome) => return Some(outcome.records),
                Err(error) => error,
            };
            let route = match error.route() {
                Route::Retry if attempt >= self.runtime.attempts => Route::DeadLetter,
                route => route,
            };
            emit(RecordFailed { stage: self.handle.stage(), record, error: &error, route, attempt });
            match route {
                Route::Retry | Route::Wait => {
                    let wait = error.retry_after.unwrap_or_else(|| backoff.delay(attempt));
                    tokio::time::sleep(wait).await;
                    attempt += 1;
                }
                Route::DeadLetter => return Some(self.give_up(record, &error, attempt).await),
                Route::Fatal => {
                    self.handle.fail(StreamError::Stage {
                        stage: self.handle.stage().to_owned(),
                        place: record.place(),
                        code: error.code,
                        reason: error.message,
                    });
                    return None;
                }
            }
        }
    }

    async fn give_up(&self, record: &Record, error: &StageError, attempts: u32) -> Vec<OutRecord> {
        let topic = error.dead_letter_topic.clone().unwrap_or_else(|| self.system_dead_letters.clone());
        let letter =
            DeadLetter::new(record, self.handle.stage(), self.handle.group(), error.code, &error.message, now_millis())
                .with(prunella_wire::names::DEAD_ATTEMPTS, attempts.to_string())
                .of_record(topic, record);
        let mut records = vec![letter];
        if error.code != Code::StagePanicked {
            records.extend(self.stage.given_up(record, error).await);
        }
        records
    }

    /// Writes and, once written, completes. Does not wait: order per partition is kept by the client.
    async fn write(self: &Arc<Self>, record: Record, written: Vec<OutRecord>) {
        let worker = self.clone();
        let records = written.len();
        let tokio = tokio::runtime::Handle::current();
        let position = record.position();
        self.outlet
            .submit(
                || Owner::Record(position),
                written,
                move |result| match result {
                    Ok(()) => worker.handle.complete(&record),
                    Err(OutputError::TooLarge { .. }) => drop(tokio.spawn(worker.write_too_large(record, result))),
                    Err(error) => worker.handle.fail(produce_failed(worker.handle.stage(), records, &error)),
                },
            )
            .await;
    }

    /// An outcome that Kafka will never take: the record goes to the dead letters instead.
    async fn write_too_large(self: Arc<Self>, record: Record, result: Result<(), OutputError>) {
        let Err(error) = result else { return };
        let failed = StageError::new(Code::RecordTooLarge, error.to_string());
        emit(RecordFailed {
            stage: self.handle.stage(),
            record: &record,
            error: &failed,
            route: Route::DeadLetter,
            attempt: 1,
        });
        let letters = self.give_up(&record, &failed, 1).await;
        let count = letters.len();
        match self.outlet.deliver(|| Owner::Record(record.position()), letters).await {
            Ok(()) => self.handle.complete(&record),
            Err(OutputError::GivenUp) => {}
            Err(error) => self.handle.fail(produce_failed(self.handle.stage(), count, &error)),
        }
    }

    fn shard_ended(&self) -> StreamError {
        StreamError::Group { stage: self.handle.stage().to_owned(), reason: "a worker ended early".to_owned() }
    }
}

pub(crate) fn produce_failed(stage: &str, records: usize, error: &OutputError) -> StreamError {
    StreamError::Produce { stage: stage.to_owned(), records, reason: error.to_string() }
}
