//! What a run does next. One file per command.
//!
//! Invariants:
//! 1. a terminal run never changes;
//! 2. a step has succeeded when its extraction has ended and every batch up to its end was counted,
//!    each once, whatever order the results come in and however often;
//! 3. results of an attempt that is not the current one change nothing;
//! 4. a run ends when all its steps have ended, or one has failed, or it is cancelled, or its deadline
//!    has passed: nothing is stuck;
//! 5. the same command twice is the same as once.

mod action;
mod advance;
mod on_batch_result;
mod on_cancel;
mod on_deadline;
mod on_extraction_ended;
mod on_restored;
mod on_retry_due;
mod on_start;
mod on_step_failed;
mod on_step_skipped;
mod plan;
mod ranges;
mod run;
#[cfg(test)]
mod tests;

pub use action::{Action, Actions, EventKind, Stale};
pub use on_batch_result::on_batch_result;
pub use on_cancel::on_cancel;
pub use on_deadline::on_deadline;
pub use on_extraction_ended::on_extraction_ended;
pub use on_restored::on_restored;
pub use on_retry_due::on_retry_due;
pub use on_start::on_start;
pub use on_step_failed::on_step_failed;
pub use on_step_skipped::on_step_skipped;
pub use plan::{PlannedStep, RunPlan};
pub use run::Run;
