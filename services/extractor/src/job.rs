//! One extraction at work: page after page, batches out, journal written, until the source has no more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use prunella_mapping::Moment;
use prunella_model::{BatchNumber, Code};
use prunella_platform::{StepWork, step_failed};
use prunella_sources::Moved;
use prunella_stream::homes::{EmitError, HomeSite, now_millis};
use prunella_stream::{AssignmentEpoch, OutRecord, Record, StageError, TopicPartition};
use prunella_telemetry::emit;
use prunella_wire::records::{ErrorInfo, Extraction, ExtractionEnded, RunContext, StageBatch, StepSkipped};
use prunella_wire::{Headers, Payload, TraceContext, WireError};

use crate::batches::cut;
use crate::events::{ExtractionFailed, ItemsMoved, PageFetched};
use crate::journal::Journal;
use crate::moved::{next_try, report};
use crate::pages::{PageError, Pages};
use crate::workshop::Workshop;

/// Why a job ends before its source does.
pub(crate) enum Stop {
    /// The partition moved, the run ended or Kafka is away: nothing is to be said.
    Quiet,
    /// The step fails, or is put off.
    Failed { error: ErrorInfo, retry_at: Option<i64> },
    /// The items of the answer are not where they were.
    Moved { error: ErrorInfo, moved: Box<Moved> },
}

impl From<EmitError> for Stop {
    fn from(error: EmitError) -> Self {
        match error {
            EmitError::Output(prunella_stream::OutputError::TooLarge { topic, bytes }) => {
                let message = format!("a batch of {bytes} bytes is too large for {topic}; lower extractor.batch-bytes");
                Self::Failed { error: ErrorInfo::new(Code::RecordTooLarge, message), retry_at: None }
            }
            EmitError::Output(_) | EmitError::Revoked => Self::Quiet,
        }
    }
}

impl From<WireError> for Stop {
    fn from(error: WireError) -> Self {
        Self::Failed { error: ErrorInfo::new(error.code(), error.to_string()), retry_at: None }
    }
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Self::Failed { error: ErrorInfo::new(error.code, error.message), retry_at: None }
    }
}

impl From<PageError> for Stop {
    fn from(error: PageError) -> Self {
        let (info, retry_at) = (ErrorInfo::new(error.code, error.message), error.retry_at);
        match error.moved {
            Some(moved) => Self::Moved { error: info, moved },
            None => Self::Failed { error: info, retry_at },
        }
    }
}

/// Counts one extraction for as long as it lives.
struct Accepted(Arc<Workshop>);

impl Accepted {
    fn new(workshop: Arc<Workshop>) -> Self {
        workshop.accepted.fetch_add(1, Ordering::Relaxed);
        Self(workshop)
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.0.accepted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes one extraction out of the count for a while.
struct Aside<'w>(&'w Workshop);

impl<'w> Aside<'w> {
    fn step(workshop: &'w Workshop) -> Self {
        workshop.accepted.fetch_sub(1, Ordering::Relaxed);
        Self(workshop)
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) struct Job {
    pub(crate) site: HomeSite,
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) journal: Journal,
    pub(crate) extraction: Extraction,
}

impl Job {
    pub(crate) fn spawn(mut self) {
        let site = self.site.clone();
        let accepted = Accepted::new(self.workshop.clone());
        site.spawn(async move {
            let _accepted = accepted;
            let revoked = self.site.revoked.clone();
            let cancelled = self.workshop.cancelled.clone();
            let run = self.extraction.at.run.clone();
            let done = tokio::select! {
                done = self.work() => done,
                () = revoked.cancelled() => Err(Stop::Quiet),
                () = cancelled.cancelled(&run) => Err(Stop::Quiet),
            };
            match done {
                Err(Stop::Failed { error, retry_at }) => self.fail(error, retry_at, None).await,
                Err(Stop::Moved { error, moved }) => self.moved(error, &moved).await,
                Ok(()) | Err(Stop::Quiet) => {}
            }
            self.journal.stopped(&self.extraction.at);
        });
    }

    async fn work(&mut self) -> Result<(), Stop> {
        let workshop = self.workshop.clone();
        // Closed by nobody; a turn is given back when the job ends.
        let Ok(mut turn) = workshop.turns.acquire().await else { return Err(Stop::Quiet) };
        let work = StepWork::find(&workshop.platform, &self.extraction.at).await?;
        let at = self.extraction.at.clone();
        let context = workshop.context(&work, &at, &self.extraction.context).await?;
        let moment = Moment::new(self.extraction.requested_at, 0);
        if !workshop.condition_holds(&work, &context, moment)? {
            return self.skip().await;
        }
        let pages = Pages::open(&workshop, &work, &at, &self.extraction.context, context, moment).await?;
        while !self.extraction.ended {
            if workshop.platform.guard.is_paused(&at) {
                // Others have their turn meanwhile.
                drop(turn);
                let aside = Aside::step(&workshop);
                workshop.platform.guard.flowing(&at).await;
                drop(aside);
                turn = workshop.turns.acquire().await.map_err(|_| Stop::Quiet)?;
            }
            let started = Instant::now();
            let page = pages.page(self.extraction.cursor.as_deref()).await?;
            emit(PageFetched { at: &at, items: page.items.len(), took: started.elapsed() });
            self.send_page(&work, &page.items, page.next).await?;
        }
        drop(turn);
        Ok(())
    }

    async fn skip(&mut self) -> Result<(), Stop> {
        let at = self.extraction.at.clone();
        let skipped = StepSkipped { at: at.clone(), skipped_at: now_millis() };
        self.extraction.ended = true;
        let progress = self.workshop.progress(&at.run, &skipped)?;
        self.commit(vec![progress]).await
    }

    /// Sends the batches of a page that were not sent before, a few at a time, and journals each few.
    async fn send_page(&mut self, work: &StepWork, items: &[Bytes], next: Option<String>) -> Result<(), Stop> {
        let settings = self.workshop.settings.clone();
        let ranges = cut(items, settings.batch_items, settings.batch_bytes.as_usize());
        let sent = usize::try_from(self.extraction.page_batches).unwrap_or(0).min(ranges.len());
        let mut left = ranges[sent..].chunks(settings.journal_batches.max(1)).peekable();
        while let Some(some) = left.next() {
            let mut records = Vec::with_capacity(some.len());
            for range in some {
                let batch = self.batch(work, &items[range.clone()]).await?;
                match &self.workshop.in_place {
                    Some(in_place) => records.extend(in_place.records(batch, &self.origin()).await?),
                    None => records.push(self.batch_record(work, &batch)?),
                }
                self.extraction.next_batch = BatchNumber(self.extraction.next_batch.0 + 1);
                self.extraction.items += range.len() as i64;
                self.extraction.page_batches += 1;
            }
            if left.peek().is_some() {
                self.commit(records).await?;
            } else {
                return self.end_page(records, next).await;
            }
        }
        self.end_page(Vec::new(), next).await
    }

    /// Writes the last batches of a page; those of the last page with the end of the extraction, so that a journal
    /// which says that it has ended never stands without its run having been told.
    async fn end_page(&mut self, mut records: Vec<OutRecord>, next: Option<String>) -> Result<(), Stop> {
        self.turn_page(next);
        if self.extraction.ended {
            // Nothing more is computed from it, and the journal remembers the extraction for hours.
            self.extraction.context = RunContext { trigger: Payload::Inline(Bytes::new()), steps: Vec::new() };
            let ended = ExtractionEnded {
                at: self.extraction.at.clone(),
                batches: self.extraction.next_batch.0,
                items: self.extraction.items,
                ended_at: now_millis(),
            };
            records.push(self.workshop.progress(&ended.at.run, &ended)?.with_headers(self.trace_headers()));
        }
        self.commit(records).await
    }

    fn turn_page(&mut self, next: Option<String>) {
        self.extraction.page_batches = 0;
        self.extraction.tries = 0;
        self.extraction.retry_at = None;
        self.extraction.ended = next.is_none();
        self.extraction.cursor = next;
    }

    async fn batch(&self, work: &StepWork, items: &[Bytes]) -> Result<StageBatch, Stop> {
        let Extraction { at, next_batch, deadline, context, .. } = &self.extraction;
        let context = work.step().context_wanted.then(|| context.clone());
        self.workshop.stage_batch(at, *next_batch, *deadline, context, items).await
    }

    /// The request as it stood on its topic, for what is written on its behalf.
    fn origin(&self) -> Record {
        Record {
            source: TopicPartition {
                topic: self.workshop.platform.topics.stage_extract().into(),
                partition: self.site.partition,
            },
            offset: self.extraction.request_offset,
            timestamp: self.extraction.requested_at,
            key: Some(self.extraction.at.run.to_string().into()),
            value: None,
            headers: self.trace_headers(),
            epoch: AssignmentEpoch::new(0),
            sequence: 0,
            replay: None,
        }
    }

    fn batch_record(&self, work: &StepWork, batch: &StageBatch) -> Result<OutRecord, Stop> {
        let topic = self.workshop.platform.topics.stage_transform();
        let value = self.workshop.platform.codec.encode(&topic, batch)?;
        let run = &batch.at.run;
        let key = if work.step().ordered { run.to_string() } else { format!("{run}/{}", batch.batch) };
        Ok(OutRecord::new(topic, key, value).with_headers(self.trace_headers()))
    }

    /// Writes `effects` and how far this extraction is with them.
    async fn commit(&mut self, effects: Vec<OutRecord>) -> Result<(), Stop> {
        self.extraction.updated_at = now_millis();
        let journaled = self.workshop.journal_record(self.site.partition, &self.extraction)?;
        self.site.commit(effects, vec![journaled]).await?;
        self.journal.update(&self.extraction);
        Ok(())
    }

    /// Where the items are is found out by the healer, if it may; the step waits for that.
    async fn moved(&mut self, error: ErrorInfo, moved: &Moved) {
        let (workshop, at) = (self.workshop.clone(), self.extraction.at.clone());
        emit(ItemsMoved { at: &at, moved, error: &error });
        let Ok(work) = StepWork::find(&workshop.platform, &at).await else { return self.fail(error, None, None).await };
        let report = report(&workshop.platform, &workshop.reports, &work, &at, moved, &error.message);
        match report {
            Ok(report) => self.fail(error, next_try(&work, self.extraction.tries), report).await,
            Err(_) => self.fail(error, None, None).await,
        }
    }

    async fn fail(&mut self, error: ErrorInfo, retry_at: Option<i64>, report: Option<OutRecord>) {
        let retry_at = retry_at.filter(|at| *at < self.extraction.deadline);
        emit(ExtractionFailed { at: &self.extraction.at, error: &error, put_off: retry_at.is_some() });
        match retry_at {
            Some(_) => self.extraction.tries += 1,
            None => self.extraction.failed = true,
        }
        self.extraction.retry_at = retry_at;
        let failed = step_failed(&self.workshop.platform, &self.extraction.at, None, error, retry_at);
        let written = match failed {
            Ok(record) => self.commit(std::iter::once(record).chain(report).collect()).await,
            Err(error) => Err(error.into()),
        };
        if let Err(Stop::Failed { error, .. } | Stop::Moved { error, .. }) = written {
            tracing::error!(run = %self.extraction.at.run, code = %error.code, error = %error.message, "a failure could not be reported; the run ends at its deadline");
        }
    }

    fn trace_headers(&self) -> Headers {
        let trace = self.extraction.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok());
        trace.map_or_else(Headers::new, TraceContext::as_headers)
    }
}
