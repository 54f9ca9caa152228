//! The step that a stage record is for.

use std::sync::Arc;
use std::time::Duration;

use prunella_catalog::AUTHORS_VERSION;
use prunella_model::workflow::{ItemsPath, SilentDrift};
use prunella_model::{BatchNumber, Code, MappingKey, StepId};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, StageError};
use prunella_telemetry::metrics;
use prunella_wire::WireError;
use prunella_wire::records::{ErrorInfo, MappingDrift, MappingVersion, StageBatch, StepFailed, StepRef};
use prunella_workflow::{Plan, PlannedStep};

use crate::Platform;

/// How long work waits for the definition it names to arrive here.
const DEFINITION_PATIENCE: Duration = Duration::from_secs(3);

/// A step's compiled definition; keeps the whole plan alive.
#[derive(Clone)]
pub struct StepWork {
    plan: Arc<Plan>,
    index: usize,
}

impl StepWork {
    /// Finds the definition that `at` names.
    ///
    /// # Errors
    /// [`StageError`] when the catalog has no such definition, or this release cannot execute it.
    pub async fn find(platform: &Platform, at: &StepRef) -> Result<Self, StageError> {
        let unknown = |reason: String| {
            StageError::new(Code::WorkflowUnknown, format!("{}: {reason}", at.workflow_ref()))
                .dead_letter_to(platform.dead_letters(&at.workspace, &at.workflow))
        };
        let definition = platform
            .catalog
            .wait_for(&at.workflow_ref(), DEFINITION_PATIENCE)
            .await
            .ok_or_else(|| unknown("not in the catalog".to_owned()))?;
        let plan = definition.plan().map_err(unknown)?;
        Self::of(plan, &at.step).ok_or_else(|| unknown(format!("no step {}", at.step)))
    }

    /// A step of a definition that is in no catalog; `None` when it has no such step.
    pub fn of(plan: Arc<Plan>, step: &StepId) -> Option<Self> {
        let index = plan.step(step)?.index;
        Some(Self { plan, index })
    }

    pub fn step(&self) -> &PlannedStep {
        &self.plan.steps()[self.index]
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The mapping of this step, if it may be healed.
    pub fn mapping_key(&self, at: &StepRef) -> Option<MappingKey> {
        let healing = self.step().healing.as_ref()?;
        Some(MappingKey {
            workspace: at.workspace.clone(),
            workflow: at.workflow.clone(),
            step: at.step.clone(),
            schema: healing.schema_hash.clone(),
        })
    }

    /// The version of its mapping that is used at this moment.
    pub fn version(&self, platform: &Platform, at: &StepRef) -> i32 {
        self.healed(platform, at).map_or(AUTHORS_VERSION, |version| version.version)
    }

    /// Where the items stand in an answer: where the definition says, or where the source has moved them.
    pub fn items(&self, platform: &Platform, at: &StepRef) -> Option<ItemsPath> {
        let written = self.step().items.clone()?;
        let healed = self.healed(platform, at);
        let moved = healed.as_ref().and_then(|version| version.moved.as_ref());
        // A definition with another path has the last word.
        let moved = moved.filter(|moved| moved.was == written.as_str());
        Some(moved.and_then(|moved| moved.is.parse().ok()).unwrap_or(written))
    }

    /// What is used instead of the author's mapping; `None` for the mapping itself.
    pub fn healed(&self, platform: &Platform, at: &StepRef) -> Option<Arc<MappingVersion>> {
        let healing = self.step().healing.as_ref()?;
        let healed = platform.mappings.healed(&self.mapping_key(at)?, &healing.base);
        metrics::MAPPING_VIEW.with_label_values(&[if healed.is_some() { "hit" } else { "miss" }]).inc();
        healed
    }

    /// Why items of this mapped batch wait although they may be valid: the version that mapped them gives outputs that do
    /// not look as they used to, and the step does not want such.
    pub fn held(&self, platform: &Platform, batch: &StageBatch) -> Option<Arc<MappingDrift>> {
        if !self.parks_drift() {
            return None;
        }
        let healing = self.step().healing.as_ref()?;
        platform.mappings.drift(&self.mapping_key(&batch.at)?, &healing.base, batch.mapping_version)
    }

    /// Whether items wait when outputs do not look as they used to.
    pub fn parks_drift(&self) -> bool {
        self.step().healing.as_ref().is_some_and(|healing| healing.settings.silent_drift == SilentDrift::Park)
    }

    /// Whether the items of this step are the output of the workflow.
    pub fn is_output(&self) -> bool {
        self.plan.output().from == self.index
    }
}

/// The record that tells a run that one of its steps cannot go on.
pub fn step_failed(
    platform: &Platform,
    at: &StepRef,
    batch: Option<BatchNumber>,
    error: ErrorInfo,
    retry_at: Option<i64>,
) -> Result<OutRecord, WireError> {
    let topic = platform.topics.stage_progress();
    let failed = StepFailed { at: at.clone(), batch, error, retry_at, failed_at: now_millis() };
    let value = platform.codec.encode(&topic, &failed)?;
    Ok(OutRecord::new(topic, at.run.to_string(), value))
}

/// What becomes of items that cannot be mapped, or are not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// They wait for their mapping to be healed.
    Park,
    DeadLetter,
}

impl OnFailure {
    /// As the step's author wants it.
    pub fn of(work: &StepWork) -> Self {
        if work.step().healing.is_some() { Self::Park } else { Self::DeadLetter }
    }
}
