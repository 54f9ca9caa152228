//! Actions of the machine as records.

use std::sync::Arc;

use prunella_model::{BatchNumber, RunId, RunOrigin, WorkflowName, WorkspaceName};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::emit;
use prunella_topology::Topics;
use prunella_wire::records::{RunEvent, RunInput, StartRun, StepOutput};
use prunella_wire::{Codec, ControlRecord, Headers, TraceContext, WireError};

use crate::events::StaleResult;
use crate::home::Suffixes;
use crate::machine::{Action, Run};

/// Whose run the actions are about.
pub(crate) struct Subject<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) workspace: &'a WorkspaceName,
    pub(crate) workflow: &'a WorkflowName,
    pub(crate) traceparent: Option<&'a str>,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(run: &'a Run) -> Self {
        let state = &run.state;
        Self {
            run: &state.run,
            workspace: &state.workspace,
            workflow: &state.workflow,
            traceparent: state.traceparent.as_deref(),
        }
    }
}

/// Turns actions into records of one home partition.
pub(crate) struct RecordWriter {
    codec: Arc<Codec>,
    home: i32,
    state_runs: Arc<str>,
    stage_extract: Arc<str>,
    stage_control: Arc<str>,
    log_runs: Arc<str>,
    stage_progress: Arc<str>,
}

impl RecordWriter {
    pub(crate) fn new(topics: &Topics, codec: Arc<Codec>, home: i32) -> Self {
        Self {
            home,
            state_runs: topics.state_runs().into(),
            stage_extract: topics.stage_extract().into(),
            stage_control: topics.stage_control().into(),
            log_runs: topics.log_runs().into(),
            stage_progress: topics.stage_progress().into(),
            codec,
        }
    }

    pub(crate) fn records(
        &self,
        subject: &Subject<'_>,
        actions: Vec<Action>,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let records = actions.into_iter().filter_map(|action| self.record(subject, action, now).transpose());
        records.collect::<Result<_, WireError>>().map_err(StageError::from)
    }

    fn record(&self, subject: &Subject<'_>, action: Action, now: i64) -> Result<Option<OutRecord>, WireError> {
        let run = subject.run;
        Ok(Some(match action {
            Action::WriteRun(state) => self.state(run.to_string(), &state)?,
            Action::WriteInput(input) => self.state(format!("{run}/@trigger"), &input)?,
            Action::WriteStep(step) => self.state(format!("{run}/{}", step.step), &step)?,
            Action::WriteOutput(output) => {
                let key = format!("{run}/{}/{}/{}", output.step, output.attempt, output.batch);
                self.state(key, &output)?
            }
            Action::Request(request) => self
                .encoded(&self.stage_extract, run.to_string(), &request)?
                .to_partition(self.home)
                .with_headers(trace_headers(subject.traceparent)),
            Action::Notify(notice) => self.encoded(&self.stage_control, run.to_string(), &notice)?,
            Action::Event { kind, step, attempt, batch, error } => {
                let (code, message) = error.map_or((None, String::new()), |error| (Some(error.code), error.message));
                let event = RunEvent { step, attempt, batch, code, message, ..self.event(subject, kind.as_str(), now) };
                self.encoded(&self.log_runs, run.to_string(), &event)?
            }
            Action::Stale { run, why } => {
                emit(StaleResult { run: run.as_str(), why });
                let event = RunEvent { message: why.as_str().to_owned(), ..self.event(subject, "stale", now) };
                self.encoded(&self.log_runs, run.to_string(), &event)?
            }
        }))
    }

    /// Every record of a live run.
    pub(crate) fn state_of(&self, run: &Run) -> Result<Vec<OutRecord>, StageError> {
        let id = &run.state.run;
        let input = RunInput { run: id.clone(), trigger: run.trigger.clone() };
        let outputs = run.outputs.iter().map(|((step, attempt, batch), outputs)| StepOutput {
            run: id.clone(),
            step: step.clone(),
            attempt: *attempt,
            batch: BatchNumber(*batch),
            outputs: outputs.clone(),
        });
        let mut actions = vec![Action::WriteRun(run.state.clone()), Action::WriteInput(input)];
        actions.extend(run.steps.values().cloned().map(Action::WriteStep));
        actions.extend(outputs.map(Action::WriteOutput));
        self.records(&Subject::of(run), actions, 0)
    }

    /// A run that is known, and whose trigger is read again because its group was rewound: the start of a run of its own,
    /// sent to that run's home. The rewinding is part of its id, so that what is delivered twice is one run.
    pub(crate) fn start_again(&self, command: &StartRun, record: &Record) -> Result<Option<OutRecord>, WireError> {
        let Some(generation) = &command.generation else { return Ok(None) };
        let origin = RunOrigin::Replay { of: &command.run, generation };
        let run = RunId::derive(&command.workspace, &command.workflow, origin);
        let again =
            StartRun { run: run.clone(), replay_of: Some(command.run.clone()), generation: None, ..command.clone() };
        let started = self.encoded(&self.stage_progress, run.to_string(), &again)?;
        Ok(Some(started.with_headers(TraceContext::carried_on(&record.headers))))
    }

    /// Removes everything that `suffixes` name of a run.
    pub(crate) fn tombstones(&self, run: &RunId, suffixes: &Suffixes) -> Vec<OutRecord> {
        let key = |suffix: &str| format!("{run}{suffix}");
        suffixes
            .iter()
            .map(|suffix| OutRecord::tombstone(self.state_runs.clone(), key(suffix)).to_partition(self.home))
            .collect()
    }

    fn event(&self, subject: &Subject<'_>, kind: &str, now: i64) -> RunEvent {
        RunEvent {
            run: subject.run.clone(),
            workspace: subject.workspace.clone(),
            workflow: subject.workflow.clone(),
            at: now,
            kind: kind.to_owned(),
            step: None,
            attempt: None,
            batch: None,
            code: None,
            message: String::new(),
        }
    }

    /// State goes to the partition of its home whatever its key.
    fn state<T: ControlRecord>(&self, key: String, record: &T) -> Result<OutRecord, WireError> {
        Ok(self.encoded(&self.state_runs, key, record)?.to_partition(self.home))
    }

    fn encoded<T: ControlRecord>(&self, topic: &Arc<str>, key: String, record: &T) -> Result<OutRecord, WireError> {
        Ok(OutRecord::new(topic.clone(), key, self.codec.encode(topic, record)?))
    }
}

/// The run's trace goes on in the request.
fn trace_headers(traceparent: Option<&str>) -> Headers {
    let context = traceparent.and_then(|text| text.parse::<TraceContext>().ok());
    context.map_or_else(Headers::new, TraceContext::as_headers)
}
