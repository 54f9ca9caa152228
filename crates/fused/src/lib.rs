//! Stages joined in memory: the same functions that the staged services call, one after the other.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use prunella_extractor::{BatchWork, Pure, Workshop, extract_pure};
use prunella_model::Route;
use prunella_orchestrator::{PureSteps, StepDone, StepResult};
use prunella_platform::{OnFailure, StepWork};
use prunella_stream::homes::now_millis;
use prunella_stream::{Backoff, OutRecord, Record, StageError};
use prunella_transformer::transform;
use prunella_validator::{Counted, Validated, validate};
use prunella_wire::records::{
    ErrorInfo, ExtractRequest, ExtractionEnded, StageBatch, StepFailed, StepRef, StepSkipped,
};

/// Extraction of pure steps, mapping and validation in one place.
pub struct FusedStages {
    workshop: Workshop,
    transformer: prunella_transformer::Deps,
    validator: prunella_validator::Deps,
    /// The consumer groups on whose behalf dead letters are written.
    groups: Groups,
}

struct Groups {
    orchestrator: String,
    extractor: String,
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl FusedStages {
    pub fn new(
        extractor: &prunella_extractor::Deps,
        transformer: prunella_transformer::Deps,
        validator: prunella_validator::Deps,
    ) -> Arc<Self> {
        let group = |service: &str| format!("{}{service}", validator.platform.topics.prefix());
        let groups = Groups { orchestrator: group("orchestrator"), extractor: group("extractor") };
        Arc::new(Self { workshop: Workshop::new(extractor, None), transformer, validator, groups })
    }

    /// Maps and validates a batch.
    async fn batch(
        &self,
        work: &StepWork,
        batch: StageBatch,
        origin: &Record,
        group: &str,
    ) -> Result<Validated, StageError> {
        let (healed, on_failure) = (work.healed(&self.validator.platform, &batch.at), OnFailure::of(work));
        let mapped = transform(&self.transformer, work, batch, healed.as_deref(), on_failure, origin, group).await?;
        let (mapped, mut letters) = mapped;
        let held = work.held(&self.validator.platform, &mapped);
        let mut validated =
            validate(&self.validator, work, &mapped, on_failure, held.as_deref(), origin, group).await?;
        validated.records.append(&mut letters);
        Ok(validated)
    }

    async fn step(&self, request: &ExtractRequest, origin: &Record) -> Result<StepDone, StageError> {
        let work = StepWork::find(&self.validator.platform, &request.at).await?;
        let at = &request.at;
        let batches = match extract_pure(&self.workshop, &work, request).await {
            Pure::Batches(batches) => batches,
            Pure::Skipped => {
                let skipped = StepSkipped { at: at.clone(), skipped_at: now_millis() };
                return Ok(StepDone { records: Vec::new(), results: vec![StepResult::Skipped(skipped)] });
            }
            Pure::Failed(error) => return Ok(failed(at, error)),
        };
        let mut done = StepDone { records: Vec::new(), results: Vec::with_capacity(batches.len() + 1) };
        let (count, mut items) = (batches.len(), 0);
        for batch in batches {
            items += batch.items.len();
            let validated = self.batch(&work, batch, origin, &self.groups.orchestrator).await?;
            done.records.extend(validated.records);
            match validated.counted {
                Counted::Result(result) => done.results.push(StepResult::Batch(result)),
                parked @ Counted::Parked(_) => done.records.push(parked.record(&self.validator, origin)?),
            }
        }
        done.results.push(StepResult::ExtractionEnded(ExtractionEnded {
            at: at.clone(),
            batches: i64::try_from(count).unwrap_or(i64::MAX),
            items: i64::try_from(items).unwrap_or(i64::MAX),
            ended_at: now_millis(),
        }));
        Ok(done)
    }
}

fn failed(at: &StepRef, error: ErrorInfo) -> StepDone {
    let failed = StepFailed { at: at.clone(), batch: None, error, retry_at: None, failed_at: now_millis() };
    StepDone { records: Vec::new(), results: vec![StepResult::Failed(failed)] }
}

impl PureSteps for FusedStages {
    fn takes(&self, at: &StepRef) -> bool {
        !self.validator.platform.guard.is_paused(at)
    }

    fn run<'a>(&'a self, request: &'a ExtractRequest, origin: &'a Record) -> Pending<'a, StepDone> {
        Box::pin(async move {
            let runtime = &self.validator.platform.runtime;
            let backoff = Backoff::new(runtime.backoff.duration(), runtime.max_backoff.duration());
            let mut attempt = 1;
            loop {
                let error = match self.step(request, origin).await {
                    Ok(done) => return done,
                    Err(error) => error,
                };
                let give_up = match error.route() {
                    Route::Wait => false,
                    Route::Retry => attempt >= runtime.attempts,
                    Route::DeadLetter | Route::Fatal => true,
                };
                if give_up || now_millis() > request.deadline {
                    return failed(&request.at, ErrorInfo::new(error.code, error.message));
                }
                tokio::time::sleep(backoff.delay(attempt)).await;
                attempt += 1;
            }
        })
    }
}

impl BatchWork for FusedStages {
    fn records<'a>(&'a self, batch: StageBatch, origin: &'a Record) -> Pending<'a, Result<Vec<OutRecord>, StageError>> {
        Box::pin(async move {
            let work = StepWork::find(&self.validator.platform, &batch.at).await?;
            let Validated { mut records, counted } = self.batch(&work, batch, origin, &self.groups.extractor).await?;
            records.push(counted.record(&self.validator, origin)?);
            Ok(records)
        })
    }
}
