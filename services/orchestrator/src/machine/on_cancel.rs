use prunella_model::Code;
use prunella_wire::records::{CancelRun, ErrorInfo, RunStatus};

use super::action::{Actions, Stale};
use super::advance::end;
use super::run::Run;

/// Cancellation always ends a run that has not ended.
pub fn on_cancel(run: &mut Run, command: &CancelRun, now: i64, actions: &mut Actions) {
    if run.state.status.is_terminal() {
        return actions.stale(&command.run, Stale::RunEnded);
    }
    let reason = if command.reason.is_empty() { "no reason given" } else { &command.reason };
    let message = format!("cancelled by {}: {reason}", command.requested_by);
    end(run, RunStatus::Cancelled, Some(ErrorInfo::new(Code::RunCancelled, message)), now, actions);
}
