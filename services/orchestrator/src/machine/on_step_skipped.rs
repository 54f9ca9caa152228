use prunella_wire::records::{StepSkipped, StepStatus};

use super::action::{Action, Actions, EventKind};
use super::advance::{advance, open_step};
use super::plan::RunPlan;
use super::run::Run;

/// The condition of a step is not true: it is done, and the steps that need it see no items.
pub fn on_step_skipped(run: &mut Run, plan: &RunPlan, skipped: StepSkipped, now: i64, actions: &mut Actions) {
    let Some(step) = open_step(run, &skipped.at, actions) else { return };
    step.status = StepStatus::Skipped;
    step.ended_at = Some(now);
    actions.push(Action::WriteStep(step.clone()));
    actions.step_event(EventKind::StepSkipped, step, None);
    advance(run, plan, now, actions);
}
