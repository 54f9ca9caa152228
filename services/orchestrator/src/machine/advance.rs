use prunella_wire::records::{CancelNotice, ErrorInfo, ExtractRequest, RunStatus, StepState, StepStatus};

use super::action::{Action, Actions, EventKind, Stale};
use super::plan::{PlannedStep, RunPlan};
use super::run::Run;

/// Starts every step whose needs are done; ends the run when all steps are.
pub(super) fn advance(run: &mut Run, plan: &RunPlan, now: i64, actions: &mut Actions) {
    if run.state.status.is_terminal() {
        return;
    }
    for step in &plan.steps {
        if !run.steps.contains_key(&step.id) && step.needs.iter().all(|need| run.is_done(need)) {
            let state = run.new_step(&step.id, now);
            actions.push(Action::WriteStep(state.clone()));
            actions.step_event(EventKind::StepStarted, &state, None);
            request(run, step, &state, now, actions);
            run.steps.insert(step.id.clone(), state);
        }
    }
    if plan.steps.iter().all(|step| run.is_done(&step.id)) {
        end(run, RunStatus::Succeeded, None, now, actions);
    }
}

/// Hands the current attempt of a step to the extractor.
pub(super) fn request(run: &Run, step: &PlannedStep, state: &StepState, now: i64, actions: &mut Actions) {
    actions.push(Action::Request(ExtractRequest {
        at: run.step_ref(state),
        deadline: run.state.deadline,
        context: run.context(step),
        requested_at: now,
    }));
}

/// Ends the run, and with it every step that has not ended.
pub(super) fn end(run: &mut Run, status: RunStatus, error: Option<ErrorInfo>, now: i64, actions: &mut Actions) {
    if run.state.status.is_terminal() {
        return;
    }
    let mut stopped_work = false;
    for step in run.steps.values_mut().filter(|step| !step.status.is_terminal()) {
        step.status = StepStatus::Cancelled;
        step.ended_at = Some(now);
        step.retry_at = None;
        stopped_work = true;
        actions.push(Action::WriteStep(step.clone()));
    }
    let state = &mut run.state;
    state.status = status;
    state.ended_at = Some(now);
    state.error = error.clone();
    state.extracted = run.steps.values().map(|step| step.extracted).sum();
    state.valid = run.steps.values().map(|step| step.valid).sum();
    state.dead_lettered = run.steps.values().map(|step| step.dead_lettered).sum();
    actions.push(Action::WriteRun(state.clone()));
    if stopped_work {
        let notice = CancelNotice { run: state.run.clone(), workspace: state.workspace.clone(), at: now };
        actions.push(Action::Notify(notice));
    }
    let kind = match status {
        RunStatus::Succeeded => EventKind::RunSucceeded,
        RunStatus::Cancelled => EventKind::RunCancelled,
        _ => EventKind::RunFailed,
    };
    actions.run_event(kind, error);
}

/// The step a result is for, when it may still change: the current attempt of a step that has not ended.
pub(super) fn open_step<'r>(
    run: &'r mut Run,
    at: &prunella_wire::records::StepRef,
    actions: &mut Actions,
) -> Option<&'r mut StepState> {
    let stale = if run.state.status.is_terminal() {
        Some(Stale::RunEnded)
    } else {
        match run.steps.get(&at.step) {
            None => Some(Stale::UnknownStep),
            Some(step) if step.attempt != at.attempt => Some(Stale::OldAttempt),
            Some(step) if step.status.is_terminal() => Some(Stale::StepEnded),
            Some(_) => None,
        }
    };
    if let Some(why) = stale {
        actions.stale(&at.run, why);
        return None;
    }
    run.steps.get_mut(&at.step)
}

/// Marks a step as succeeded once everything of it was counted.
pub(super) fn finish_step_if_complete(
    run: &mut Run,
    at: &prunella_wire::records::StepRef,
    now: i64,
    actions: &mut Actions,
) {
    let Some(step) = run.steps.get_mut(&at.step) else { return };
    let complete = step.batches.is_some_and(|total| super::ranges::complete(&step.seen, total));
    if !complete {
        actions.push(Action::WriteStep(step.clone()));
        return;
    }
    step.status = StepStatus::Succeeded;
    step.ended_at = Some(now);
    actions.push(Action::WriteStep(step.clone()));
    actions.step_event(EventKind::StepSucceeded, step, None);
}
