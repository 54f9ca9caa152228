use std::time::{Duration, Instant};

use prunella_model::{Code, Route};
use prunella_telemetry::emit;

use super::driver::Driver;
use super::outbox::Cause;
use super::{Effects, Home, Homes, now_millis};
use crate::chaos::{self, Point};
use crate::dead_letter::DeadLetter;
use crate::error::StreamError;
use crate::events::{RecordDone, RecordFailed};
use crate::record::{OutRecord, Record};
use crate::sharded::produce_failed;
use crate::stage::{StageError, without_panic};
use crate::transactor::Owner;

/// From what came of a record to what is written for it: decided, tried again, or given up.
impl<H: Homes> Driver<H> {
    pub(super) fn decided(&mut self, record: Record, effects: Effects, took: Duration) {
        emit(RecordDone { stage: self.handle.stage(), record: &record, took });
        chaos::at(self.handle.stage(), Point::Decided);
        self.outbox.put(Cause::Record(Box::new(record)), effects);
    }

    /// Goes on with a record from what came of the first attempt.
    pub(super) async fn settle(
        &mut self,
        record: Record,
        first: Result<Effects, StageError>,
    ) -> Result<(), StreamError> {
        let started = Instant::now();
        let (mut attempt, mut result) = (1, first);
        let effects = loop {
            let error = match result {
                Ok(effects) => break effects,
                Err(error) => error,
            };
            let route = match error.route() {
                Route::Retry if attempt >= self.attempts => Route::DeadLetter,
                route => route,
            };
            emit(RecordFailed { stage: self.handle.stage(), record: &record, error: &error, route, attempt });
            match route {
                Route::Retry | Route::Wait => {
                    self.outbox.send_all().await;
                    tokio::select! {
                        () = tokio::time::sleep(self.backoff.delay(attempt)) => attempt += 1,
                        // Not completed: it is taken again at the next start.
                        () = self.stop.cancelled() => return Ok(()),
                    }
                    result = self.process(&record).await;
                }
                // What a command changed before it panicked is not to be built upon.
                Route::DeadLetter if error.code == Code::StagePanicked => return self.set_aside(record, error).await,
                Route::DeadLetter => break self.give_up(&record, &error).await,
                Route::Fatal => {
                    return Err(StreamError::Stage {
                        stage: self.handle.stage().to_owned(),
                        place: record.place(),
                        code: error.code,
                        reason: error.message,
                    });
                }
            }
        };
        self.decided(record, effects, started.elapsed());
        Ok(())
    }

    async fn process(&mut self, record: &Record) -> Result<Effects, StageError> {
        let Some(addressed) = without_panic(self.homes.address(record)).await? else { return Ok(Effects::none()) };
        match self.slots.get_mut(&addressed.home).and_then(|slot| slot.home.as_mut()) {
            Some(home) => without_panic(home.handle(addressed.command, record, now_millis())).await,
            None => Ok(Effects::of(vec![self.homes.forward(&addressed, record)?])),
        }
    }

    /// Writes the dead letter of a record, and then has the stage built anew, with its state.
    async fn set_aside(&mut self, record: Record, error: StageError) -> Result<(), StreamError> {
        self.outbox.send_all().await;
        let letter = self.letter(&record, &error);
        let written = self.outlet.deliver(|| Owner::Record(record.position()), vec![letter]).await;
        if let Err(error) = written {
            return Err(produce_failed(self.handle.stage(), 1, &error));
        }
        self.handle.complete(&record);
        let (stage, place) = (self.handle.stage().to_owned(), record.place());
        Err(StreamError::Stage { stage, place, code: error.code, reason: error.message })
    }

    fn letter(&self, record: &Record, error: &StageError) -> OutRecord {
        let topic = error.dead_letter_topic.clone().unwrap_or_else(|| self.config.system_dead_letters.clone());
        let (stage, group) = (self.handle.stage(), self.handle.group());
        DeadLetter::new(record, stage, group, error.code, &error.message, now_millis()).of_record(topic, record)
    }

    async fn give_up(&mut self, record: &Record, error: &StageError) -> Effects {
        let mut records = vec![self.letter(record, error)];
        records.extend(self.homes.given_up(record, error).await);
        Effects::of(records)
    }
}
