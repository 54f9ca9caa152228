//! The runs of one home partition, as `state.runs` restores them and commands change them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

use prunella_model::{RunId, StepId, WorkflowRef};
use prunella_stream::homes::{Effects, Home};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::emit;
use prunella_wire::records::{
    BatchResult, CancelRun, ExtractionEnded, RunInput, RunState, StartRun, StepFailed, StepOutput, StepRef,
    StepSkipped, StepState,
};
use prunella_wire::{Codec, ControlRecord, Payload, TraceContext, WireError};

use crate::events::{RunEnded, RunStarted};
use crate::machine::{self, Action, Actions, EventKind, Run, RunPlan, Stale};
use crate::pure::{PureSteps, StepResult};
use crate::records::{RecordWriter, Subject};
use crate::service::Plans;

/// Commands of `stage.progress`.
pub(crate) enum Command {
    Start(StartRun),
    Batch(BatchResult),
    ExtractionEnded(ExtractionEnded),
    StepFailed(StepFailed),
    StepSkipped(StepSkipped),
    Cancel(CancelRun),
}

impl Command {
    pub(crate) fn run(&self) -> &RunId {
        match self {
            Self::Start(command) => &command.run,
            Self::Cancel(command) => &command.run,
            Self::Batch(BatchResult { at, .. })
            | Self::ExtractionEnded(ExtractionEnded { at, .. })
            | Self::StepFailed(StepFailed { at, .. })
            | Self::StepSkipped(StepSkipped { at, .. }) => &at.run,
        }
    }

    /// The step attempt that a result is about.
    pub(crate) fn step(&self) -> Option<&StepRef> {
        match self {
            Self::Start(_) | Self::Cancel(_) => None,
            Self::Batch(BatchResult { at, .. })
            | Self::ExtractionEnded(ExtractionEnded { at, .. })
            | Self::StepFailed(StepFailed { at, .. })
            | Self::StepSkipped(StepSkipped { at, .. }) => Some(at),
        }
    }

    /// The definition that a start needs.
    pub(crate) fn started_workflow(&self) -> Option<WorkflowRef> {
        let Self::Start(start) = self else { return None };
        Some(WorkflowRef {
            workspace: start.workspace.clone(),
            workflow: start.workflow.clone(),
            version: start.version,
        })
    }
}

/// What the state topic holds of a run while it is read.
#[derive(Default)]
struct Remains {
    state: Option<RunState>,
    trigger: Option<Payload>,
    steps: IndexMap<StepId, StepState>,
    outputs: Vec<StepOutput>,
    suffixes: BTreeSet<Box<str>>,
}

/// A run that has ended and is still known: what follows the run id in the keys of its records.
struct Ended {
    suffixes: Box<[Box<str>]>,
}

pub(crate) struct RunHome {
    writer: RecordWriter,
    plans: Arc<Plans>,
    codec: Arc<Codec>,
    retention: i64,
    pure_steps: Option<Arc<dyn PureSteps>>,
    runs: HashMap<RunId, Run>,
    ended: HashMap<RunId, Ended>,
    /// (when, run): one entry per live run, one per ended one.
    timers: BTreeSet<(i64, RunId)>,
    due: HashMap<RunId, i64>,
    restoring: BTreeMap<RunId, Remains>,
}

impl RunHome {
    pub(crate) fn new(
        writer: RecordWriter,
        plans: Arc<Plans>,
        codec: Arc<Codec>,
        retention: i64,
        pure_steps: Option<Arc<dyn PureSteps>>,
    ) -> Self {
        Self {
            writer,
            plans,
            codec,
            retention,
            pure_steps,
            runs: HashMap::new(),
            ended: HashMap::new(),
            timers: BTreeSet::new(),
            due: HashMap::new(),
            restoring: BTreeMap::new(),
        }
    }

    fn set_timer(&mut self, run: &RunId, at: Option<i64>) {
        if let Some(before) = self.due.remove(run) {
            self.timers.remove(&(before, run.clone()));
        }
        if let Some(at) = at {
            self.due.insert(run.clone(), at);
            self.timers.insert((at, run.clone()));
        }
    }

    /// Changes a live run and gives what is to be written for it.
    async fn change(
        &mut self,
        run: &RunId,
        now: i64,
        change: impl FnOnce(&mut Run, Option<&RunPlan>, &mut Actions),
    ) -> Result<Vec<OutRecord>, StageError> {
        let Some(mut live) = self.runs.remove(run) else { return Ok(Vec::new()) };
        let plan = self.plans.get(&live.workflow_ref());
        let mut actions = Actions::default();
        change(&mut live, plan.as_deref(), &mut actions);
        let mut records = self.do_pure_steps(&mut live, plan.as_deref(), now, &mut actions).await;
        actions.settle();
        let written = self.writer.records(&Subject::of(&live), actions.0, now);
        if live.state.status.is_terminal() {
            emit(RunEnded { run: &live.state, now });
            self.retire(run, &live, now);
        } else {
            self.set_timer(run, Some(live.next_timer()));
            self.runs.insert(run.clone(), live);
        }
        records.extend(written?);
        Ok(records)
    }

    /// Does the pure steps that `actions` hand out, and those that their results hand out, until none is left.
    async fn do_pure_steps(
        &self,
        run: &mut Run,
        plan: Option<&RunPlan>,
        now: i64,
        actions: &mut Actions,
    ) -> Vec<OutRecord> {
        let mut records = Vec::new();
        let (Some(pure_steps), Some(plan)) = (&self.pure_steps, plan) else { return records };
        let origin = run.origin_record();
        loop {
            let requests = actions.take_requests(|step| plan.step(step).is_some_and(|step| step.pure));
            if requests.is_empty() {
                return records;
            }
            for request in requests {
                if run.state.status.is_terminal() {
                    break;
                }
                let done = pure_steps.run(&request, &origin).await;
                records.extend(done.records);
                for result in done.results {
                    match result {
                        StepResult::Batch(result) => machine::on_batch_result(run, plan, result, now, actions),
                        StepResult::ExtractionEnded(ended) => {
                            machine::on_extraction_ended(run, plan, ended, now, actions);
                        }
                        StepResult::Failed(failed) => machine::on_step_failed(run, failed, now, actions),
                        StepResult::Skipped(skipped) => machine::on_step_skipped(run, plan, skipped, now, actions),
                    }
                }
            }
        }
    }

    /// Keeps of an ended run only what recognises it and what its tombstones need.
    fn retire(&mut self, run: &RunId, live: &Run, now: i64) {
        let steps = live.steps.keys().map(|step| format!("/{step}").into());
        let outputs = live.outputs.keys().map(|(step, attempt, batch)| format!("/{step}/{attempt}/{batch}").into());
        let suffixes = ["".into(), "/@trigger".into()].into_iter().chain(steps).chain(outputs).collect();
        self.keep_ended(run, suffixes, live.state.ended_at.unwrap_or(now));
    }

    fn keep_ended(&mut self, run: &RunId, suffixes: Box<[Box<str>]>, ended_at: i64) {
        self.ended.insert(run.clone(), Ended { suffixes });
        self.set_timer(run, Some(ended_at.saturating_add(self.retention)));
    }

    async fn start(&mut self, command: StartRun, record: &Record, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let run_id = command.run.clone();
        let (workspace, workflow) = (command.workspace.clone(), command.workflow.clone());
        let subject = Subject { run: &run_id, workspace: &workspace, workflow: &workflow, traceparent: None };
        if self.runs.contains_key(&run_id) || self.ended.contains_key(&run_id) {
            let duplicate = Action::Event {
                kind: EventKind::DuplicateTrigger,
                step: None,
                attempt: None,
                batch: None,
                error: None,
            };
            return self.writer.records(&subject, vec![duplicate], now);
        }
        let at = WorkflowRef { workspace: workspace.clone(), workflow: workflow.clone(), version: command.version };
        let plan = self.plans.get(&at).ok_or_else(|| self.plans.missing(&at))?;
        let trace = TraceContext::of(&record.headers).map_or_else(TraceContext::root, TraceContext::child).to_string();
        let mut actions = Actions::default();
        let mut run = machine::on_start(command, &plan, Some(trace), now, &mut actions);
        let mut records = self.do_pure_steps(&mut run, Some(&plan), now, &mut actions).await;
        let is_over = run.state.status.is_terminal();
        if is_over {
            actions.settle_whole_run(&run);
        } else {
            actions.settle();
        }
        records.extend(self.writer.records(&Subject::of(&run), actions.0, now)?);
        emit(RunStarted { run: &run.state });
        if is_over {
            emit(RunEnded { run: &run.state, now });
            self.keep_ended(&run_id, [Box::from("")].into(), run.state.ended_at.unwrap_or(now));
        } else {
            self.set_timer(&run_id, Some(run.next_timer()));
            self.runs.insert(run_id, run);
        }
        Ok(records)
    }

    /// A result for a run that is not live changes nothing but its history.
    fn stale(&self, command: &Command, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let run = command.run();
        let why = if self.ended.contains_key(run) { Stale::RunEnded } else { Stale::UnknownRun };
        let Some(step) = command.step() else {
            emit(crate::events::StaleResult { run: run.as_str(), why });
            return Ok(Vec::new());
        };
        let subject = Subject { run, workspace: &step.workspace, workflow: &step.workflow, traceparent: None };
        self.writer.records(&subject, vec![Action::Stale { run: run.clone(), why }], now)
    }

    async fn take_state(&mut self, run: RunId, suffix: &str, value: Option<Bytes>) -> Result<(), WireError> {
        let remains = self.restoring.entry(run.clone()).or_default();
        let Some(value) = value else {
            remains.suffixes.remove(suffix);
            match suffix {
                "" => remains.state = None,
                "/@trigger" => remains.trigger = None,
                other => {
                    remains.steps.retain(|step, _| other.strip_prefix('/') != Some(step.as_str()));
                    remains.outputs.retain(|output| other != output_suffix(output));
                }
            }
            if remains.suffixes.is_empty() {
                self.restoring.remove(&run);
            }
            return Ok(());
        };
        let opened = self.codec.open(&value).await?;
        match opened.name() {
            RunState::NAME => remains.state = Some(opened.read()?),
            RunInput::NAME => remains.trigger = Some(opened.read::<RunInput>()?.trigger),
            StepState::NAME => {
                let step: StepState = opened.read()?;
                remains.steps.insert(step.step.clone(), step);
            }
            StepOutput::NAME => {
                let output: StepOutput = opened.read()?;
                remains.outputs.retain(|known| output_suffix(known) != output_suffix(&output));
                remains.outputs.push(output);
            }
            _ => return Err(WireError::UnexpectedRecord { found: opened.name().to_owned(), expected: RunState::NAME }),
        }
        remains.suffixes.insert(suffix.into());
        Ok(())
    }

    /// A run whose first records were written whole is live again; an ended one is recognised.
    fn take_in(&mut self, run: RunId, remains: Remains, orphans: &mut Vec<OutRecord>) {
        let Some(state) = remains.state else {
            // Its header was removed and the removal of the rest was cut off.
            let suffixes: Vec<Box<str>> = remains.suffixes.into_iter().collect();
            return orphans.extend(self.writer.tombstones(&run, &suffixes));
        };
        if state.status.is_terminal() {
            let suffixes = remains.suffixes.into_iter().collect();
            return self.keep_ended(&run, suffixes, state.ended_at.unwrap_or(state.deadline));
        }
        // Without its trigger the start was cut off: its command is still there and starts it anew.
        let Some(trigger) = remains.trigger else { return };
        let mut live = Run { state, steps: remains.steps, trigger, outputs: BTreeMap::new() };
        for output in remains.outputs {
            live.restore_output(output);
        }
        let next = live.next_timer();
        prunella_telemetry::metrics::RUNS_LIVE.inc();
        self.runs.insert(run.clone(), live);
        self.set_timer(&run, Some(next));
    }
}

fn output_suffix(output: &StepOutput) -> String {
    format!("/{}/{}/{}", output.step, output.attempt, output.batch)
}

/// Splits a key of `state.runs` into the run and what follows it.
fn split_key(key: &[u8]) -> Option<(RunId, &str)> {
    let text = std::str::from_utf8(key).ok()?;
    let (run, suffix) = text.split_at_checked(32)?;
    Some((run.parse().ok()?, suffix))
}

impl Drop for RunHome {
    fn drop(&mut self) {
        prunella_telemetry::metrics::RUNS_LIVE.sub(self.runs.len() as i64);
    }
}

impl Home for RunHome {
    type Command = Command;

    async fn apply(&mut self, key: &Bytes, value: Option<Bytes>) -> Result<(), String> {
        let (run, suffix) = split_key(key).ok_or("the key does not start with a run id")?;
        let suffix = suffix.to_owned();
        self.take_state(run, &suffix, value).await.map_err(|error| error.to_string())
    }

    async fn restored(&mut self, now: i64) -> Effects {
        let mut records = Vec::new();
        for (run, remains) in std::mem::take(&mut self.restoring) {
            self.take_in(run, remains, &mut records);
        }
        let live: Vec<RunId> = self.runs.keys().cloned().collect();
        for run in live {
            let resume = |run: &mut Run, plan: Option<&RunPlan>, actions: &mut Actions| {
                if let Some(plan) = plan {
                    machine::on_restored(run, plan, now, actions);
                }
            };
            match self.change(&run, now, resume).await {
                Ok(resumed) => records.extend(resumed),
                Err(error) => tracing::error!(run = %run, %error, "a restored run could not be resumed"),
            }
        }
        Effects::of(records)
    }

    async fn handle(&mut self, command: Command, record: &Record, now: i64) -> Result<Effects, StageError> {
        if let Command::Start(start) = command {
            return self.start(start, record, now).await.map(Effects::of);
        }
        let run = command.run().clone();
        if !self.runs.contains_key(&run) {
            return self.stale(&command, now).map(Effects::of);
        }
        let change = |run: &mut Run, plan: Option<&RunPlan>, actions: &mut Actions| match (command, plan) {
            (Command::Cancel(command), _) => machine::on_cancel(run, &command, now, actions),
            (Command::StepFailed(failed), _) => machine::on_step_failed(run, failed, now, actions),
            (Command::Batch(result), Some(plan)) => machine::on_batch_result(run, plan, result, now, actions),
            (Command::ExtractionEnded(ended), Some(plan)) => {
                machine::on_extraction_ended(run, plan, ended, now, actions);
            }
            (Command::StepSkipped(skipped), Some(plan)) => machine::on_step_skipped(run, plan, skipped, now, actions),
            // Started above; and a run whose definition is gone can only fail, be cancelled or time out.
            (Command::Start(_), _) | (_, None) => {}
        };
        Ok(Effects::of(self.change(&run, now, change).await?))
    }

    fn next_timer(&self) -> Option<i64> {
        self.timers.first().map(|(at, _)| *at)
    }

    async fn on_timer(&mut self, now: i64) -> Effects {
        let mut records = Vec::new();
        while let Some((at, run)) = self.timers.first().cloned() {
            if at > now {
                break;
            }
            if let Some(ended) = self.ended.remove(&run) {
                self.set_timer(&run, None);
                records.extend(self.writer.tombstones(&run, &ended.suffixes));
                continue;
            }
            let change = |run: &mut Run, plan: Option<&RunPlan>, actions: &mut Actions| {
                machine::on_deadline(run, now, actions);
                if let Some(plan) = plan {
                    machine::on_retry_due(run, plan, now, actions);
                }
            };
            match self.change(&run, now, change).await {
                Ok(changed) => records.extend(changed),
                Err(error) => {
                    tracing::error!(run = %run, %error, "a timer could not be written; it is tried again");
                    self.set_timer(&run, Some(now + 1000));
                }
            }
        }
        Effects::of(records)
    }
}
