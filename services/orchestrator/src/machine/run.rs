use std::collections::BTreeMap;

use indexmap::IndexMap;
use prunella_model::{Attempt, StepId, WorkflowRef};
use prunella_stream::{AssignmentEpoch, Record, TopicPartition};
use prunella_wire::records::{Dispatch, RunContext, RunState, StepOutput, StepOutputs, StepRef, StepState, StepStatus};
use prunella_wire::{Headers, Payload, TraceContext};

use super::plan::PlannedStep;

/// A run that has not ended, with all that its next steps need.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub state: RunState,
    /// Steps that have started or ended; the others wait.
    pub steps: IndexMap<StepId, StepState>,
    pub trigger: Payload,
    /// Items that later steps read, by step and batch of its current attempt.
    pub outputs: BTreeMap<(StepId, Attempt, i64), Payload>,
}

impl Run {
    pub fn workflow_ref(&self) -> WorkflowRef {
        WorkflowRef {
            workspace: self.state.workspace.clone(),
            workflow: self.state.workflow.clone(),
            version: self.state.version,
        }
    }

    /// The trigger record as it stood on its topic, for what is written on the run's behalf.
    pub fn origin_record(&self) -> Record {
        let origin = &self.state.origin;
        let trace = self.state.traceparent.as_deref().and_then(|text| text.parse::<TraceContext>().ok());
        Record {
            source: TopicPartition { topic: origin.topic.as_str().into(), partition: origin.partition },
            offset: origin.offset,
            timestamp: origin.timestamp,
            key: Some(self.state.run.to_string().into()),
            value: None,
            headers: trace.map_or_else(Headers::new, TraceContext::as_headers),
            epoch: AssignmentEpoch::new(0),
            sequence: 0,
            replay: None,
        }
    }

    pub(super) fn new_step(&self, step: &StepId, now: i64) -> StepState {
        StepState {
            run: self.state.run.clone(),
            step: step.clone(),
            attempt: Attempt::FIRST,
            status: StepStatus::Running,
            dispatch: Dispatch::Topic,
            started_at: Some(now),
            ended_at: None,
            retry_at: None,
            batches: None,
            seen: Vec::new(),
            extracted: 0,
            valid: 0,
            dead_lettered: 0,
            error: None,
        }
    }

    pub(super) fn step_ref(&self, step: &StepState) -> StepRef {
        StepRef {
            workspace: self.state.workspace.clone(),
            workflow: self.state.workflow.clone(),
            version: self.state.version,
            run: self.state.run.clone(),
            step: step.step.clone(),
            attempt: step.attempt,
        }
    }

    pub(super) fn is_done(&self, step: &StepId) -> bool {
        self.steps.get(step).is_some_and(|state| matches!(state.status, StepStatus::Succeeded | StepStatus::Skipped))
    }

    /// What the expressions of `step` may read.
    pub(super) fn context(&self, step: &PlannedStep) -> RunContext {
        let steps = step.reads.iter().map(|read| {
            let attempt = self.steps.get(read).map_or(Attempt::FIRST, |state| state.attempt);
            let of_attempt = (read.clone(), attempt, i64::MIN)..=(read.clone(), attempt, i64::MAX);
            let outputs = self.outputs.range(of_attempt).map(|(_, payload)| payload.clone()).collect();
            StepOutputs { step: read.clone(), outputs }
        });
        RunContext { trigger: self.trigger.clone(), steps: steps.collect() }
    }

    /// About how many bytes it takes in memory, and as many on its topic.
    pub fn size(&self) -> usize {
        /// Of a record beside its payload: names, times, counts.
        const RECORD: usize = 256;
        let payloads = std::iter::once(&self.trigger).chain(self.outputs.values());
        let payloads: usize = payloads.map(|payload| RECORD + payload.in_memory()).sum();
        payloads + RECORD * (1 + self.steps.len())
    }

    /// When something is due by the clock: the deadline, or the retry of a step.
    pub fn next_timer(&self) -> i64 {
        let retries = self.steps.values().filter(|step| step.status == StepStatus::Retrying);
        retries.filter_map(|step| step.retry_at).min().map_or(self.state.deadline, |at| at.min(self.state.deadline))
    }

    /// Puts an output back that was read from the state topic.
    pub fn restore_output(&mut self, output: StepOutput) {
        self.outputs.insert((output.step, output.attempt, output.batch.0), output.outputs);
    }
}
