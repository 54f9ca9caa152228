use prunella_wire::records::StepStatus;

use super::action::Actions;
use super::advance::{advance, request};
use super::plan::RunPlan;
use super::run::Run;

/// The home was restored. Under at-least-once, state may have been written without the request that
/// goes with it: extractions that have not ended are asked for again (the extractor's journal knows
/// those it has), and steps or ends that became due are made up for.
pub fn on_restored(run: &mut Run, plan: &RunPlan, now: i64, actions: &mut Actions) {
    let open: Vec<_> = run
        .steps
        .values()
        .filter(|step| step.status == StepStatus::Running && step.batches.is_none())
        .cloned()
        .collect();
    for state in open {
        if let Some(step) = plan.step(&state.step) {
            request(run, step, &state, now, actions);
        }
    }
    advance(run, plan, now, actions);
}
