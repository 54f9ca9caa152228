use std::collections::BTreeMap;

use indexmap::IndexMap;
use prunella_wire::records::{RunInput, RunState, RunStatus, StartRun};

use super::action::{Action, Actions, EventKind};
use super::advance::advance;
use super::plan::RunPlan;
use super::run::Run;

/// A trigger was accepted: the run begins with every step that needs nothing.
pub fn on_start(
    command: StartRun,
    plan: &RunPlan,
    traceparent: Option<String>,
    now: i64,
    actions: &mut Actions,
) -> Run {
    let state = RunState {
        run: command.run.clone(),
        workspace: command.workspace,
        workflow: command.workflow,
        version: command.version,
        status: RunStatus::Running,
        origin: command.origin,
        idempotency_key: command.idempotency_key,
        replay_of: command.replay_of,
        created_at: command.accepted_at,
        deadline: command.accepted_at.saturating_add(plan.deadline),
        ended_at: None,
        steps: i32::try_from(plan.steps.len()).unwrap_or(i32::MAX),
        extracted: 0,
        valid: 0,
        dead_lettered: 0,
        error: None,
        traceparent,
        done_steps: Vec::new(),
    };
    actions.push(Action::WriteRun(state.clone()));
    actions.push(Action::WriteInput(RunInput { run: command.run, trigger: command.trigger.clone() }));
    actions.run_event(EventKind::RunStarted, None);
    let mut run = Run { state, steps: IndexMap::new(), trigger: command.trigger, outputs: BTreeMap::new() };
    advance(&mut run, plan, now, actions);
    run
}
