use prunella_wire::records::{RunStatus, StepFailed, StepStatus};

use super::action::{Action, Actions, EventKind};
use super::advance::{end, open_step};
use super::run::Run;

/// A step cannot go on: it is put off when the stage says until when, else the run fails.
pub fn on_step_failed(run: &mut Run, failed: StepFailed, now: i64, actions: &mut Actions) {
    let deadline = run.state.deadline;
    let Some(step) = open_step(run, &failed.at, actions) else { return };
    step.error = Some(failed.error.clone());
    if let Some(retry_at) = failed.retry_at.filter(|at| *at < deadline) {
        step.status = StepStatus::Retrying;
        step.retry_at = Some(retry_at);
        actions.push(Action::WriteStep(step.clone()));
        actions.step_event(EventKind::StepRetry, step, failed.batch);
        return;
    }
    step.status = StepStatus::Failed;
    step.ended_at = Some(now);
    step.retry_at = None;
    actions.push(Action::WriteStep(step.clone()));
    actions.step_event(EventKind::StepFailed, step, failed.batch);
    end(run, RunStatus::Failed, Some(failed.error), now, actions);
}
