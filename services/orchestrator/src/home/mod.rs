//! The runs of one home partition, as `state.runs` restores them and commands change them.

mod command;
mod known;
mod packed;
mod remains;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use prunella_model::{RunId, WorkflowRef};
use prunella_stream::homes::{Effects, Home};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::emit;
use prunella_wire::records::StartRun;
use prunella_wire::{Codec, TraceContext};

use crate::events::{RunEnded, RunStarted};
use crate::machine::{self, Action, Actions, EventKind, Run, RunPlan, Stale};
use crate::memory::{Held, RunMemory};
use crate::pure::{PureSteps, StepResult};
use crate::records::{RecordWriter, Subject};
use crate::service::Plans;

pub(crate) use command::Command;
pub(crate) use known::Suffixes;
use known::{Form, KnownRuns};
use packed::PackedRun;
use remains::Remains;

/// Live runs of a home that are kept at hand. All are put to sleep when there are more, so each costs that once
/// until it is needed again.
const AWAKE: usize = 1024;
/// Runs that a timer takes on at a time: what it writes for them is in memory until it is sent.
const DUE_AT_ONCE: usize = 256;

pub(crate) struct RunHome {
    writer: RecordWriter,
    plans: Arc<Plans>,
    codec: Arc<Codec>,
    retention: i64,
    memory: RunMemory,
    pure_steps: Option<Arc<dyn PureSteps>>,
    known: KnownRuns,
    restoring: HashMap<RunId, PackedRun>,
}

impl RunHome {
    pub(crate) fn new(
        writer: RecordWriter,
        plans: Arc<Plans>,
        codec: Arc<Codec>,
        retention: i64,
        memory: RunMemory,
        pure_steps: Option<Arc<dyn PureSteps>>,
    ) -> Self {
        let (known, restoring) = (KnownRuns::default(), HashMap::new());
        Self { writer, plans, codec, retention, memory, pure_steps, known, restoring }
    }

    /// Takes a live run out, read anew if it was asleep.
    async fn take_live(&mut self, run: &RunId) -> Option<(Run, Held)> {
        match self.known.remove(run)? {
            (Form::Awake(live), held) => Some((*live, held)),
            (Form::Asleep(packed), held) => {
                if let Some(live) = Remains::read(run, &packed, &self.codec).await.into_run() {
                    return Some((live, held));
                }
                // It was read once, or written here: this cannot be. Nothing is thrown away all the same.
                self.known.insert(run, i64::MAX, Form::Asleep(packed), held);
                None
            }
        }
    }

    fn keep_awake(&mut self, live: Run, mut held: Held) {
        held.resize(live.size());
        let (run, due) = (live.state.run.clone(), live.next_timer());
        self.known.insert(&run, due, Form::Awake(Box::new(live)), held);
        if self.known.awake() > AWAKE {
            self.known.put_to_sleep(|run| PackedRun::of(run, &self.writer));
        }
    }

    fn hold(&self, live: &Run) -> Held {
        self.memory.hold(&live.state.workspace, &live.state.workflow, live.size())
    }

    /// Changes a live run and gives what is to be written for it.
    async fn change(
        &mut self,
        run: &RunId,
        now: i64,
        change: impl FnOnce(&mut Run, Option<&RunPlan>, &mut Actions),
    ) -> Result<Effects, StageError> {
        let Some((mut live, held)) = self.take_live(run).await else { return Ok(Effects::none()) };
        let plan = self.plans.get(&live.workflow_ref());
        let mut actions = Actions::default();
        change(&mut live, plan.as_deref(), &mut actions);
        let mut records = self.do_pure_steps(&mut live, plan.as_deref(), now, &mut actions).await;
        actions.settle();
        let may_wait = records.is_empty() && actions.may_wait();
        let written = self.writer.records(&Subject::of(&live), actions.0, now);
        if live.state.status.is_terminal() {
            emit(RunEnded { run: &live.state, now });
            self.retire(run, &live, now);
        } else {
            self.keep_awake(live, held);
        }
        records.extend(written?);
        Ok(Effects { may_wait, ..Effects::of(records) })
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
            let requests =
                actions.take_requests(|at| plan.step(&at.step).is_some_and(|step| step.pure) && pure_steps.takes(at));
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
        let steps = live.steps.keys().map(|step| format!("/{step}"));
        let outputs = live.outputs.keys().map(|(step, attempt, batch)| format!("/{step}/{attempt}/{batch}"));
        let suffixes: Vec<String> =
            [String::new(), "/@trigger".to_owned()].into_iter().chain(steps).chain(outputs).collect();
        self.keep_ended(run, Suffixes::new(suffixes.iter().map(String::as_str)), live.state.ended_at.unwrap_or(now));
    }

    fn keep_ended(&mut self, run: &RunId, suffixes: Suffixes, ended_at: i64) {
        self.known.retire(run, ended_at.saturating_add(self.retention), suffixes);
    }

    async fn start(&mut self, command: StartRun, record: &Record, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let run_id = command.run.clone();
        let (workspace, workflow) = (command.workspace.clone(), command.workflow.clone());
        let subject = Subject { run: &run_id, workspace: &workspace, workflow: &workflow, traceparent: None };
        if self.known.contains(&run_id) {
            if let Some(again) = self.writer.start_again(&command, record)? {
                return Ok(vec![again]);
            }
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
            self.keep_ended(&run_id, Suffixes::new([""]), run.state.ended_at.unwrap_or(now));
        } else {
            let held = self.hold(&run);
            self.keep_awake(run, held);
        }
        Ok(records)
    }

    /// A result for a run that is not live changes nothing but its history.
    fn stale(&self, command: &Command, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let run = command.run();
        let why = if self.known.is_ended(run) { Stale::RunEnded } else { Stale::UnknownRun };
        let Some(step) = command.step() else {
            emit(crate::events::StaleResult { run: run.as_str(), why });
            return Ok(Vec::new());
        };
        let subject = Subject { run, workspace: &step.workspace, workflow: &step.workflow, traceparent: None };
        self.writer.records(&subject, vec![Action::Stale { run: run.clone(), why }], now)
    }

    /// A run whose first records were written whole is live again; an ended one is recognised. Gives what there is
    /// to write for it.
    async fn take_in(&mut self, run: RunId, packed: PackedRun, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let remains = Remains::read(&run, &packed, &self.codec).await;
        let suffixes = || Suffixes::new(packed.records().map(|(suffix, _)| suffix));
        let Some(state) = &remains.state else {
            // Its header was removed and the removal of the rest was cut off.
            return Ok(self.writer.tombstones(&run, &suffixes()));
        };
        if state.status.is_terminal() {
            let ended_at = state.ended_at.unwrap_or(state.deadline);
            self.keep_ended(&run, suffixes(), ended_at);
            return Ok(Vec::new());
        }
        // Without its trigger the start was cut off: its command is still there and starts it anew.
        let Some(live) = remains.into_run() else { return Ok(Vec::new()) };
        let mut actions = Actions::default();
        if let Some(plan) = self.plans.get(&live.workflow_ref()) {
            let mut resumed = live.clone();
            machine::on_restored(&mut resumed, &plan, now, &mut actions);
        }
        let due = live.next_timer();
        let held = self.hold(&live);
        self.known.insert(&run, due, Form::Asleep(packed), held);
        if actions.0.is_empty() {
            return Ok(Vec::new());
        }
        self.change(&run, now, |run, plan, actions| {
            if let Some(plan) = plan {
                machine::on_restored(run, plan, now, actions);
            }
        })
        .await
        .map(|effects| effects.records)
    }
}

/// Splits a key of `state.runs` into the run and what follows it.
fn split_key(key: &[u8]) -> Option<(RunId, &str)> {
    let text = std::str::from_utf8(key).ok()?;
    let (run, suffix) = text.split_at_checked(32)?;
    Some((run.parse().ok()?, suffix))
}

impl Home for RunHome {
    type Command = Command;

    async fn apply(&mut self, _: usize, key: &Bytes, value: Option<Bytes>) -> Result<(), String> {
        let (run, suffix) = split_key(key).ok_or("the key does not start with a run id")?;
        let packed = self.restoring.entry(run.clone()).or_default();
        match value {
            Some(value) => {
                self.codec.open(&value).await.map_err(|error| error.to_string())?;
                packed.put(suffix, &value);
            }
            None => packed.remove(suffix),
        }
        if packed.is_empty() {
            self.restoring.remove(&run);
        }
        Ok(())
    }

    async fn restored(&mut self, now: i64) -> Effects {
        let mut records = Vec::new();
        for (run, packed) in std::mem::take(&mut self.restoring) {
            match self.take_in(run.clone(), packed, now).await {
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
        if !self.known.is_live(&run) {
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
        self.change(&run, now, change).await
    }

    fn next_timer(&self) -> Option<i64> {
        self.known.next_due()
    }

    async fn on_timer(&mut self, now: i64) -> Effects {
        let mut records = Vec::new();
        for _ in 0..DUE_AT_ONCE {
            let Some((run, suffixes)) = self.known.pop_forgotten(now) else { break };
            records.extend(self.writer.tombstones(&run, &suffixes));
        }
        for _ in 0..DUE_AT_ONCE {
            let Some(run) = self.known.due(now) else { break };
            let change = |run: &mut Run, plan: Option<&RunPlan>, actions: &mut Actions| {
                machine::on_deadline(run, now, actions);
                if let Some(plan) = plan {
                    machine::on_retry_due(run, plan, now, actions);
                }
            };
            match self.change(&run, now, change).await {
                Ok(changed) => records.extend(changed.records),
                Err(error) => {
                    tracing::error!(run = %run, %error, "a timer could not be written; it is tried again");
                    self.known.postpone(&run, now + 1000);
                }
            }
        }
        Effects::of(records)
    }
}
