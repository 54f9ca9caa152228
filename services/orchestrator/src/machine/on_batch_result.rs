use prunella_wire::records::{BatchResult, RunStatus, StepOutput, StepStatus};

use super::action::{Action, Actions, EventKind, Stale};
use super::advance::{advance, end, finish_step_if_complete, open_step};
use super::plan::RunPlan;
use super::ranges;
use super::run::Run;

/// A batch is done: count it once.
pub fn on_batch_result(run: &mut Run, plan: &RunPlan, result: BatchResult, now: i64, actions: &mut Actions) {
    let Some(step) = open_step(run, &result.at, actions) else { return };
    if !ranges::insert(&mut step.seen, result.batch.0) {
        return actions.stale(&result.at.run, Stale::BatchCounted);
    }
    step.extracted += i64::from(result.items);
    step.valid += i64::from(result.valid);
    step.dead_lettered += i64::from(result.dead_lettered);
    if let Some(outputs) = result.outputs {
        let output = StepOutput {
            run: result.at.run.clone(),
            step: result.at.step.clone(),
            attempt: result.at.attempt,
            batch: result.batch,
            outputs,
        };
        actions.push(Action::WriteOutput(output.clone()));
        run.restore_output(output);
    }
    if let Some(error) = result.error {
        let Some(step) = run.steps.get_mut(&result.at.step) else { return };
        step.status = StepStatus::Failed;
        step.ended_at = Some(now);
        step.error = Some(error.clone());
        actions.push(Action::WriteStep(step.clone()));
        actions.step_event(EventKind::StepFailed, step, Some(result.batch));
        return end(run, RunStatus::Failed, Some(error), now, actions);
    }
    finish_step_if_complete(run, &result.at, now, actions);
    advance(run, plan, now, actions);
}
