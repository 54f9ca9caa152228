use std::collections::HashSet;

use prunella_model::{Attempt, BatchNumber, RunId, StepId};
use prunella_wire::records::{
    CancelNotice, ErrorInfo, ExtractRequest, RunInput, RunState, StepOutput, StepRef, StepState,
};

use super::run::Run;

/// What the outside has to do: a record each.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    WriteRun(RunState),
    WriteInput(RunInput),
    WriteStep(StepState),
    WriteOutput(StepOutput),
    /// Hand a step to the extractor.
    Request(ExtractRequest),
    /// Tell busy stages to stop.
    Notify(CancelNotice),
    Event {
        kind: EventKind,
        step: Option<StepId>,
        attempt: Option<Attempt>,
        batch: Option<BatchNumber>,
        error: Option<ErrorInfo>,
    },
    /// A result that changes nothing.
    Stale {
        run: RunId,
        why: Stale,
    },
}

/// Entries of a run's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    RunStarted,
    StepStarted,
    StepSucceeded,
    StepFailed,
    StepRetry,
    StepSkipped,
    RunSucceeded,
    RunFailed,
    RunCancelled,
    DuplicateTrigger,
}

impl EventKind {
    fn is_end_of_run(self) -> bool {
        matches!(self, Self::RunSucceeded | Self::RunFailed | Self::RunCancelled)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunStarted => "run-started",
            Self::StepStarted => "step-started",
            Self::StepSucceeded => "step-succeeded",
            Self::StepFailed => "step-failed",
            Self::StepRetry => "step-retry",
            Self::StepSkipped => "step-skipped",
            Self::RunSucceeded => "run-succeeded",
            Self::RunFailed => "run-failed",
            Self::RunCancelled => "run-cancelled",
            Self::DuplicateTrigger => "duplicate-trigger",
        }
    }
}

/// Why a result changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stale {
    RunEnded,
    UnknownRun,
    OldAttempt,
    StepEnded,
    BatchCounted,
    UnknownStep,
}

impl Stale {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunEnded => "run-ended",
            Self::UnknownRun => "unknown-run",
            Self::OldAttempt => "old-attempt",
            Self::StepEnded => "step-ended",
            Self::BatchCounted => "batch-counted",
            Self::UnknownStep => "unknown-step",
        }
    }
}

/// Actions in the order they are to be written.
#[derive(Debug, Default)]
pub struct Actions(pub Vec<Action>);

impl Actions {
    /// Whether they are only for a restart to find: nothing goes on because of them, and nobody is told.
    pub fn may_wait(&self) -> bool {
        self.0.iter().all(|action| matches!(action, Action::WriteStep(_) | Action::WriteOutput(_)))
    }

    pub(super) fn push(&mut self, action: Action) {
        self.0.push(action);
    }

    pub(super) fn run_event(&mut self, kind: EventKind, error: Option<ErrorInfo>) {
        self.push(Action::Event { kind, step: None, attempt: None, batch: None, error });
    }

    pub(super) fn step_event(&mut self, kind: EventKind, step: &StepState, batch: Option<BatchNumber>) {
        self.push(Action::Event {
            kind,
            step: Some(step.step.clone()),
            attempt: Some(step.attempt),
            batch,
            error: step.error.clone(),
        });
    }

    /// Takes the requests for steps that `wanted` picks.
    pub fn take_requests(&mut self, wanted: impl Fn(&StepRef) -> bool) -> Vec<ExtractRequest> {
        let is_taken = |action: &mut Action| matches!(action, Action::Request(request) if wanted(&request.at));
        let taken = self.0.extract_if(.., is_taken);
        taken.filter_map(|action| if let Action::Request(request) = action { Some(request) } else { None }).collect()
    }

    /// Leaves of every record only what it is in the end: a key is written once per command.
    pub fn settle(&mut self) {
        let mut written = HashSet::new();
        let mut settled: Vec<Action> = Vec::with_capacity(self.0.len());
        for action in self.0.drain(..).rev() {
            let is_last = match &action {
                Action::WriteRun(_) => written.insert(None),
                Action::WriteStep(step) => written.insert(Some(step.step.clone())),
                _ => true,
            };
            if is_last {
                settled.push(action);
            }
        }
        settled.reverse();
        self.0 = settled;
    }

    /// Of a run that began and ended in one command: its header with the steps in it, and how it ended.
    pub fn settle_whole_run(&mut self, run: &Run) {
        self.0.retain(|action| match action {
            Action::Event { kind, error, .. } => kind.is_end_of_run() || error.is_some(),
            Action::Stale { .. } => true,
            _ => false,
        });
        let done_steps = run.steps.values().cloned().collect();
        self.0.insert(0, Action::WriteRun(RunState { done_steps, ..run.state.clone() }));
    }

    pub(super) fn stale(&mut self, run: &RunId, why: Stale) {
        self.push(Action::Stale { run: run.clone(), why });
    }
}
