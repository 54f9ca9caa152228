use prunella_model::Code;
use prunella_wire::records::{ErrorInfo, RunStatus, StepStatus};

use super::action::Actions;
use super::advance::end;
use super::run::Run;

/// The run has lived as long as it may.
pub fn on_deadline(run: &mut Run, now: i64, actions: &mut Actions) {
    if run.state.status.is_terminal() || now < run.state.deadline {
        return;
    }
    let open: Vec<&str> = run
        .steps
        .values()
        .filter(|step| matches!(step.status, StepStatus::Running | StepStatus::Retrying))
        .map(|step| step.step.as_str())
        .collect();
    let last_error = run.steps.values().rev().find_map(|step| step.error.as_ref());
    let mut message = format!("the deadline passed while these steps were open: {}", open.join(", "));
    if let Some(error) = last_error {
        message = format!("{message}; last error {}: {}", error.code, error.message);
    }
    end(run, RunStatus::Failed, Some(ErrorInfo::new(Code::RunDeadline, message)), now, actions);
}
