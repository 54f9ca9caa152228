//! What the extractions of a process share, and what they all do the same way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use tokio::sync::Semaphore;

use prunella_mapping::{Bindings, Limits, Moment};
use prunella_model::{BatchNumber, ByteSize, Code, RunId};
use prunella_platform::{CancelledRuns, ContextDocument, Platform, StepWork};
use prunella_sources::HttpClient;
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, Record, StageError};
use prunella_wire::records::{ErrorInfo, Extraction, RunContext, StageBatch, StageItem, StepRef};
use prunella_wire::{ControlRecord, WireError};

use crate::job::Stop;
use crate::moved::Reports;
use crate::pages::PageError;
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
    pub(crate) reports: Reports,
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
            reports: Reports::default(),
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

    /// What the expressions of a step read, if it has any.
    pub(crate) async fn context(
        &self,
        work: &StepWork,
        at: &StepRef,
        stored: &RunContext,
    ) -> Result<ContextDocument, WireError> {
        if !work.step().extraction_reads_context() {
            return Ok(ContextDocument::empty());
        }
        ContextDocument::load(&self.platform.claims, at, stored, self.max_context_bytes.bytes()).await
    }

    /// Whether a step is to be done at all.
    pub(crate) fn condition_holds(
        &self,
        work: &StepWork,
        context: &ContextDocument,
        moment: Moment,
    ) -> Result<bool, Stop> {
        let Some(when) = &work.step().when else { return Ok(true) };
        let failed = |message: String| Stop::Failed {
            error: ErrorInfo::new(Code::ConditionFailed, format!("when: {}: {message}", when.source())),
            retry_at: None,
        };
        let document = context.input().map_err(PageError::from)?;
        let value = when
            .evaluate_input(document, &Bindings::new(), moment, &self.limits)
            .map_err(|error| failed(error.to_string()))?;
        match value {
            Some(serde_json::Value::Bool(holds)) => Ok(holds),
            None => Ok(false),
            Some(other) => {
                Err(failed(format!("gives {other}; a condition gives true or false, wrap it in $boolean(…)")))
            }
        }
    }

    /// A batch of `items`, large ones by claim.
    pub(crate) async fn stage_batch(
        &self,
        at: &StepRef,
        batch: BatchNumber,
        deadline: i64,
        context: Option<RunContext>,
        items: &[Bytes],
    ) -> Result<StageBatch, Stop> {
        let now = now_millis();
        let mut staged = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let input = self.platform.claims.payload(&at.workspace, now, item.clone()).await?;
            staged.push(StageItem {
                index: i32::try_from(index).unwrap_or(i32::MAX),
                input,
                output: None,
                error: None,
            });
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
}
