//! The step that a stage record is for.

use std::sync::Arc;
use std::time::Duration;

use prunella_model::{BatchNumber, Code, MappingKey, StepId};
use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, StageError};
use prunella_wire::WireError;
use prunella_wire::records::{ErrorInfo, MappingVersion, StepFailed, StepRef};
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

    /// What is used instead of the author's mapping; `None` for the mapping itself.
    pub fn healed(&self, platform: &Platform, at: &StepRef) -> Option<Arc<MappingVersion>> {
        let healing = self.step().healing.as_ref()?;
        platform.mappings.healed(&self.mapping_key(at)?, &healing.base)
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
