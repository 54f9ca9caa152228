//! One extraction at work: page after page, batches out, journal written, until the source has no more.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Semaphore;

use prunella_mapping::{Bindings, Input, Limits, Moment};
use prunella_model::{BatchNumber, ByteSize, Code, RunId};
use prunella_platform::{CancelledRuns, ContextDocument, Platform, StepWork, step_failed};
use prunella_sources::HttpClient;
use prunella_stream::homes::{EmitError, HomeSite, now_millis};
use prunella_stream::{AssignmentEpoch, OutRecord, Record, StageError, TopicPartition};
use prunella_telemetry::emit;
use prunella_wire::records::{
    ErrorInfo, Extraction, ExtractionEnded, RunContext, StageBatch, StageItem, StepRef, StepSkipped,
};
use prunella_wire::{ControlRecord, Headers, Payload, TraceContext, WireError};

use crate::batches::cut;
use crate::events::{ExtractionFailed, PageFetched};
use crate::journal::Journal;
use crate::pages::{PageError, Pages};
use crate::service::Deps;
use crate::settings::ExtractorSettings;

/// What the extractions of a process share.
pub struct Workshop {
    pub(crate) platform: Platform,
    pub(crate) cancelled: Arc<CancelledRuns>,
    pub(crate) client: HttpClient,
    pub(crate) settings: ExtractorSettings,
    pub(crate) limits: Limits,
    pub(crate) max_context_bytes: ByteSize,
    pub(crate) turns: Semaphore,
    /// Extractions that run or wait for their turn.
    pub(crate) accepted: AtomicUsize,
    pub(crate) in_place: Option<Arc<dyn BatchWork>>,
}

/// What is done with a batch where it was extracted, instead of sending it to the transformer.
pub trait BatchWork: Send + Sync + 'static {
    /// Gives everything to be written for `batch`, the result for its run included. `origin` is the request
    /// that it comes from.
    fn records<'a>(
        &'a self,
        batch: StageBatch,
        origin: &'a Record,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<OutRecord>, StageError>> + Send + 'a>>;
}

impl Workshop {
    pub fn new(deps: &Deps, in_place: Option<Arc<dyn BatchWork>>) -> Self {
        Self {
            turns: Semaphore::new(deps.settings.concurrency.max(1)),
            accepted: AtomicUsize::new(0),
            platform: deps.platform.clone(),
            cancelled: deps.cancelled.clone(),
            client: deps.client.clone(),
            settings: deps.settings.clone(),
            limits: deps.limits.clone(),
            max_context_bytes: deps.max_context_bytes,
            in_place,
        }
    }

    pub(crate) fn journal_record(&self, home: i32, extraction: &Extraction) -> Result<OutRecord, WireError> {
        let topic = self.platform.topics.state_extractions();
        let value = self.platform.codec.encode(&topic, extraction)?;
        Ok(OutRecord::new(topic, crate::journal::key_of(&extraction.at), value).to_partition(home))
    }

    pub(crate) fn progress<T: ControlRecord>(&self, run: &RunId, result: &T) -> Result<OutRecord, WireError> {
        let topic = self.platform.topics.stage_progress();
        let value = self.platform.codec.encode(&topic, result)?;
        Ok(OutRecord::new(topic, run.to_string(), value))
    }
}

/// Why a job ends before its source does.
pub(crate) enum Stop {
    /// The partition moved, the run ended or Kafka is away: nothing is to be said.
    Quiet,
    /// The step fails, or is put off.
    Failed { error: ErrorInfo, retry_at: Option<i64> },
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
        Self::Failed { error: ErrorInfo::new(error.code, error.message), retry_at: error.retry_at }
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
            if let Err(Stop::Failed { error, retry_at }) = done {
                self.fail(error, retry_at).await;
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
        let limit = workshop.max_context_bytes.bytes();
        let context = ContextDocument::load(&workshop.platform.claims, &at, &self.extraction.context, limit).await?;
        let document = Input::from_json(&context.text()).map_err(PageError::from)?;
        let moment = Moment::new(self.extraction.requested_at, 0);
        if !condition_holds(&workshop, &work, &document, moment)? {
            return self.skip().await;
        }
        let pages = Pages::open(&workshop, &work, &self.extraction.context, &context, &document, moment).await?;
        drop((context, document));
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
        stage_batch(&self.workshop, at, *next_batch, *deadline, context, items).await
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

    async fn fail(&mut self, error: ErrorInfo, retry_at: Option<i64>) {
        let retry_at = retry_at.filter(|at| *at < self.extraction.deadline);
        emit(ExtractionFailed { at: &self.extraction.at, error: &error, put_off: retry_at.is_some() });
        match retry_at {
            Some(_) => self.extraction.tries += 1,
            None => self.extraction.failed = true,
        }
        self.extraction.retry_at = retry_at;
        let failed = step_failed(&self.workshop.platform, &self.extraction.at, None, error, retry_at);
        let written = match failed {
            Ok(record) => self.commit(vec![record]).await,
            Err(error) => Err(error.into()),
        };
        if let Err(Stop::Failed { error, .. }) = written {
            tracing::error!(run = %self.extraction.at.run, code = %error.code, error = %error.message, "a failure could not be reported; the run ends at its deadline");
        }
    }

    fn trace_headers(&self) -> Headers {
        let trace = self.extraction.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok());
        trace.map_or_else(Headers::new, TraceContext::as_headers)
    }
}

/// Whether a step is to be done at all.
pub(crate) fn condition_holds(
    workshop: &Workshop,
    work: &StepWork,
    document: &Input<'_>,
    moment: Moment,
) -> Result<bool, Stop> {
    let Some(when) = &work.step().when else { return Ok(true) };
    let failed = |message: String| Stop::Failed {
        error: ErrorInfo::new(Code::ConditionFailed, format!("when: {}: {message}", when.source())),
        retry_at: None,
    };
    let value = when
        .evaluate_input(document, &Bindings::new(), moment, &workshop.limits)
        .map_err(|error| failed(error.to_string()))?;
    match value {
        Some(serde_json::Value::Bool(holds)) => Ok(holds),
        None => Ok(false),
        Some(other) => Err(failed(format!("gives {other}; a condition gives true or false, wrap it in $boolean(…)"))),
    }
}

/// A batch of `items`, large ones by claim.
pub(crate) async fn stage_batch(
    workshop: &Workshop,
    at: &StepRef,
    batch: BatchNumber,
    deadline: i64,
    context: Option<RunContext>,
    items: &[Bytes],
) -> Result<StageBatch, Stop> {
    let now = now_millis();
    let mut staged = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let input = workshop.platform.claims.payload(&at.workspace, now, item.clone()).await?;
        staged.push(StageItem { index: i32::try_from(index).unwrap_or(i32::MAX), input, output: None, error: None });
    }
    Ok(StageBatch {
        at: at.clone(),
        batch,
        deadline,
        extracted: i32::try_from(staged.len()).unwrap_or(i32::MAX),
        items: staged,
        dead_lettered: 0,
        mapping_version: 0,
        context,
        error: None,
    })
}
