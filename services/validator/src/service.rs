use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use prunella_mapping::Limits;
use prunella_platform::{CancelledRuns, OnFailure, Platform, StepWork, ValidatorSettings, step_failed};
use prunella_stream::homes::now_millis;
use prunella_stream::{Member, OutRecord, Outcome, Record, Stage, StageError, StreamError, sharded, supervise};
use prunella_wire::records::{ErrorInfo, StageBatch};

use crate::batch::{Validated, validate};
use crate::remember::Rememberer;

const SERVICE: &str = "validator";

/// What the validator needs.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub cancelled: Arc<CancelledRuns>,
    pub settings: ValidatorSettings,
    /// For `output.key`.
    pub limits: Limits,
    pub remember: Arc<Rememberer>,
}

/// Runs the validator until `stop` is cancelled.
///
/// # Errors
/// [`StreamError`] that no restart can mend.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    supervise(SERVICE, &stop, || async {
        let platform = &deps.platform;
        let topics = vec![platform.topics.stage_validate()];
        let guarantee = platform.processing.guarantee.validator;
        let member = Member::join(platform.member(SERVICE, guarantee, topics, Vec::new()))?;
        let group = member.handle().group().to_owned();
        let stage = Arc::new(Validator { deps: deps.clone(), group });
        sharded::run(member, stage, platform.system_dead_letters(), stop.clone()).await
    })
    .await
}

struct Validator {
    deps: Deps,
    group: String,
}

impl Stage for Validator {
    async fn process(&self, record: &Record) -> Result<Outcome, StageError> {
        let batch: StageBatch = self.deps.platform.decode(record).await?;
        // The run has ended: nobody waits for this batch, unless an operator sent it again.
        let is_over = self.deps.cancelled.contains(&batch.at.run) || now_millis() > batch.deadline;
        if is_over && !record.headers.is_done_again() {
            return Ok(Outcome::nothing());
        }
        let topics = &self.deps.platform.topics;
        let dead_letters = topics.deadletter(&batch.at.workspace, &batch.at.workflow);
        let attributed = |error: StageError| error.dead_letter_to(dead_letters.as_str());
        let work = StepWork::find(&self.deps.platform, &batch.at).await?;
        let is_again = record.headers.is_done_again();
        let on_failure = if is_again { OnFailure::DeadLetter } else { OnFailure::of(&work) };
        let held = work.held(&self.deps.platform, &batch);
        let validated = validate(&self.deps, &work, &batch, on_failure, held.as_deref(), record, &self.group).await;
        let Validated { mut records, counted } = validated.map_err(attributed)?;
        // The run has counted this batch long ago.
        if !is_again {
            records.push(counted.record(&self.deps, record)?);
        }
        Ok(Outcome::of(records))
    }

    async fn given_up(&self, record: &Record, error: &StageError) -> Vec<OutRecord> {
        if record.headers.is_done_again() {
            return Vec::new();
        }
        let Ok(batch) = self.deps.platform.decode::<StageBatch>(record).await else { return Vec::new() };
        let info = ErrorInfo::new(error.code, error.message.clone());
        let failed = step_failed(&self.deps.platform, &batch.at, Some(batch.batch), info, None);
        failed.into_iter().collect()
    }
}
