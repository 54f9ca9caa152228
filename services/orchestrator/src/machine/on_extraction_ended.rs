use prunella_wire::records::{ExtractionEnded, StepStatus};

use super::action::Actions;
use super::advance::{advance, finish_step_if_complete, open_step};
use super::plan::RunPlan;
use super::run::Run;

/// The number of batches is known; the step ends when all of them are counted.
pub fn on_extraction_ended(run: &mut Run, plan: &RunPlan, ended: ExtractionEnded, now: i64, actions: &mut Actions) {
    let Some(step) = open_step(run, &ended.at, actions) else { return };
    step.batches = Some(ended.batches);
    step.status = StepStatus::Running;
    step.retry_at = None;
    finish_step_if_complete(run, &ended.at, now, actions);
    advance(run, plan, now, actions);
}
