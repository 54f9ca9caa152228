//! The extractions of one home partition, as `state.extractions` restores them.

use std::sync::Arc;

use bytes::Bytes;

use prunella_model::BatchNumber;
use prunella_stream::homes::{Effects, Home, HomeSite};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::emit;
use prunella_wire::TraceContext;
use prunella_wire::records::{ExtractRequest, Extraction, ExtractionEnded, StepRef};

use crate::events::ExtractionResumed;
use crate::job::Job;
use crate::journal::{Entry, Journal, Live, Over, key_of};
use crate::workshop::Workshop;

pub(crate) struct ExtractionHome {
    site: HomeSite,
    workshop: Arc<Workshop>,
    journal: Journal,
}

impl ExtractionHome {
    pub(crate) fn new(site: HomeSite, workshop: Arc<Workshop>) -> Self {
        Self { site, workshop, journal: Journal::default() }
    }

    fn start(&self, extraction: Extraction) -> impl FnOnce() + Send + use<> {
        let job =
            Job { site: self.site.clone(), workshop: self.workshop.clone(), journal: self.journal.clone(), extraction };
        move || job.spawn()
    }

    fn resume(&self, extraction: Extraction) {
        emit(ExtractionResumed { at: &extraction.at, next_batch: extraction.next_batch.0 });
        self.start(extraction)();
    }

    /// The request is known: what it came to is told again, work that waits goes on, running work is left alone.
    fn asked_again(&self, key: &str, at: &StepRef, now: i64) -> Result<Effects, StageError> {
        let mut entries = self.journal.lock();
        match entries.get_mut(key) {
            None | Some(Entry::Live(Live { running: true, .. }) | Entry::Over(Over::Failed)) => Ok(Effects::none()),
            Some(Entry::Live(live)) => {
                live.running = true;
                let extraction = Extraction { retry_at: None, ..(*live.extraction).clone() };
                drop(entries);
                self.resume(extraction);
                Ok(Effects::none())
            }
            Some(Entry::Over(Over::Ended { batches, items })) => {
                let ended = ExtractionEnded { at: at.clone(), batches: batches.into(), items, ended_at: now };
                Ok(Effects::of(vec![self.workshop.progress(&at.run, &ended)?]))
            }
        }
    }
}

impl Home for ExtractionHome {
    type Command = ExtractRequest;

    async fn apply(&mut self, _: usize, key: &Bytes, value: Option<Bytes>) -> Result<(), String> {
        let key = String::from_utf8(key.to_vec()).map_err(|_| "the key is not text".to_owned())?;
        let Some(value) = value else {
            self.journal.lock().remove(&key);
            return Ok(());
        };
        let decoded = self.workshop.platform.codec.decode::<Extraction>(&value).await;
        let extraction = decoded.map_err(|error| error.to_string())?;
        self.journal.lock().insert(&key, &extraction, false);
        Ok(())
    }

    async fn restored(&mut self, now: i64) -> Effects {
        let mut unfinished = Vec::new();
        for live in self.journal.lock().live_mut() {
            let waits = live.extraction.retry_at.is_some();
            if !waits && live.extraction.deadline > now {
                live.running = true;
                unfinished.push((*live.extraction).clone());
            }
        }
        for extraction in unfinished {
            self.resume(extraction);
        }
        Effects::none()
    }

    async fn handle(&mut self, request: ExtractRequest, record: &Record, now: i64) -> Result<Effects, StageError> {
        let key = key_of(&request.at);
        if self.journal.lock().contains_key(&key) {
            return self.asked_again(&key, &request.at, now);
        }
        // The run has ended: nobody waits for this step.
        if now > request.deadline || self.workshop.cancelled.contains(&request.at.run) {
            return Ok(Effects::none());
        }
        let extraction = Extraction {
            at: request.at,
            deadline: request.deadline,
            context: request.context,
            cursor: None,
            page_batches: 0,
            next_batch: BatchNumber(0),
            items: 0,
            ended: false,
            failed: false,
            tries: 0,
            retry_at: None,
            requested_at: request.requested_at,
            updated_at: now,
            traceparent: TraceContext::of(&record.headers).map(|trace| trace.to_string()),
            request_offset: record.offset,
        };
        let journaled = self.workshop.journal_record(self.site.partition, &extraction)?;
        self.journal.lock().insert(&key, &extraction, true);
        let then = Some(Box::new(self.start(extraction)) as _);
        Ok(Effects { then, ..Effects::of(vec![journaled]) })
    }

    fn next_timer(&self) -> Option<i64> {
        self.journal.next_forgotten()
    }

    async fn on_timer(&mut self, now: i64) -> Effects {
        let topic: Arc<str> = self.workshop.platform.topics.state_extractions().into();
        let tombstone = |key: String| OutRecord::tombstone(topic.clone(), key).to_partition(self.site.partition);
        Effects::of(self.journal.take_forgotten(now).into_iter().map(tombstone).collect())
    }
}
