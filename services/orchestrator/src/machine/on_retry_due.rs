use prunella_wire::records::{StepState, StepStatus};

use super::action::{Action, Actions};
use super::advance::request;
use super::plan::RunPlan;
use super::run::Run;

/// Hands every step out again whose wait is over: the same attempt, which goes on where it was.
pub fn on_retry_due(run: &mut Run, plan: &RunPlan, now: i64, actions: &mut Actions) {
    if run.state.status.is_terminal() {
        return;
    }
    let is_due =
        |step: &&mut StepState| step.status == StepStatus::Retrying && step.retry_at.is_some_and(|at| at <= now);
    let mut resumed = Vec::new();
    for step in run.steps.values_mut().filter(is_due) {
        step.status = StepStatus::Running;
        step.retry_at = None;
        resumed.push(step.clone());
    }
    for state in resumed {
        actions.push(Action::WriteStep(state.clone()));
        if let Some(step) = plan.step(&state.step) {
            request(run, step, &state, now, actions);
        }
    }
}
