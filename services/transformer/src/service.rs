use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use prunella_mapping::{Limits, MappingCache};
use prunella_model::ByteSize;
use prunella_platform::{CancelledRuns, OnFailure, Platform, StepWork, step_failed};
use prunella_stream::homes::now_millis;
use prunella_stream::{Member, OutRecord, Outcome, Record, Stage, StageError, StreamError, sharded, supervise};
use prunella_wire::records::{ErrorInfo, StageBatch};

use crate::batch::transform;
use crate::pace::Pace;

const SERVICE: &str = "transformer";

/// What the transformer needs.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub cancelled: Arc<CancelledRuns>,
    pub limits: Limits,
    pub mappings: Arc<MappingCache>,
    pub max_context_bytes: ByteSize,
    pub pace: Arc<Pace>,
}

/// Runs the transformer until `stop` is cancelled.
///
/// # Errors
/// [`StreamError`] that no restart can mend.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    supervise(SERVICE, &stop, || async {
        let platform = &deps.platform;
        let topics = vec![platform.topics.stage_transform()];
        let guarantee = platform.processing.guarantee.transformer;
        let member = Member::join(platform.member(SERVICE, guarantee, topics, Vec::new()))?;
        let group = member.handle().group().to_owned();
        let stage = Arc::new(Transformer { deps: deps.clone(), group });
        sharded::run(member, stage, platform.system_dead_letters(), stop.clone()).await
    })
    .await
}

struct Transformer {
    deps: Deps,
    group: String,
}

impl Transformer {
    fn next_record(&self, record: &Record, batch: &StageBatch) -> Result<OutRecord, StageError> {
        let topic = self.deps.platform.topics.stage_validate();
        let value = self.deps.platform.codec.encode(&topic, batch)?;
        let key = record.key.clone().unwrap_or_default();
        Ok(OutRecord::new(topic, key, value).with_headers(record.headers.carried_on()))
    }
}

impl Stage for Transformer {
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
        let healed = work.healed(&self.deps.platform, &batch.at);
        let on_failure = if record.headers.is_done_again() { OnFailure::DeadLetter } else { OnFailure::of(&work) };
        let mapped = transform(&self.deps, &work, batch, healed.as_deref(), on_failure, record, &self.group).await;
        let (mapped, mut records) = mapped.map_err(attributed)?;
        records.push(self.next_record(record, &mapped)?);
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
