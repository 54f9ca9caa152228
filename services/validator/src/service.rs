use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use prunella_mapping::Limits;
use prunella_platform::{CancelledRuns, Platform, StepWork, step_failed};
use prunella_stream::homes::now_millis;
use prunella_stream::{Member, OutRecord, Outcome, Record, Stage, StageError, StreamError, sharded, supervise};
use prunella_wire::TraceContext;
use prunella_wire::records::{ErrorInfo, StageBatch};

use crate::batch::validate;
use prunella_platform::ValidatorSettings;

const SERVICE: &str = "validator";

/// What the validator needs.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub cancelled: Arc<CancelledRuns>,
    pub settings: ValidatorSettings,
    /// For `output.key`.
    pub limits: Limits,
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
        let validated = validate(&self.deps, &work, &batch, record, &self.group).await.map_err(attributed)?;
        let (mut records, result) = validated;
        if record.headers.is_done_again() {
            return Ok(Outcome::of(records));
        }
        let topic = topics.stage_progress();
        let value = self.deps.platform.codec.encode(&topic, &result)?;
        let headers = TraceContext::carried_on(&record.headers);
        records.push(OutRecord::new(topic, batch.at.run.to_string(), value).with_headers(headers));
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
