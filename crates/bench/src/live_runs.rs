//! Live runs without having run them: their records as the orchestrator writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use prunella_model::{Attempt, RunId, RunOrigin, StepId, WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_wire::records::{Dispatch, RunInput, RunState, RunStatus, StepState, StepStatus, TriggerOrigin};
use prunella_wire::{Codec, Payload};

use crate::client::Writer;
use crate::error::{BenchError, Result};
use crate::product::Product;

const HOUR: i64 = 3_600_000;

/// Runs of the one-step workflow `name` that wait for a retry in an hour: live, and nothing is to be done about them.
pub(crate) fn write_live_runs(brokers: &str, product: &Product, name: &str, homes: i32, count: u64) -> Result<()> {
    let runs = LiveRuns::new(product.topic(&format!("trigger.default.{name}")), name)?;
    let (codec, topic) = (Codec::new(None, None), product.topic("state.runs"));
    let writer = Writer::new(brokers, 20, None)?;
    for number in 0..count {
        let run = runs.id(number);
        let home = Some(run.home(homes));
        let step = runs.step(&run);
        let records = [
            (run.to_string(), codec.encode(&topic, &runs.state(&run, number))?),
            (format!("{run}/@trigger"), codec.encode(&topic, &input(&run, number))?),
            (format!("{run}/{}", step.step), codec.encode(&topic, &step)?),
        ];
        for (key, value) in records {
            writer.send(&topic, home, key.as_bytes(), &value)?;
        }
        writer.serve();
    }
    writer.settle()
}

struct LiveRuns {
    workspace: WorkspaceName,
    workflow: WorkflowName,
    step: StepId,
    trigger_topic: String,
    now: i64,
}

impl LiveRuns {
    fn new(trigger_topic: String, workflow: &str) -> Result<Self> {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = |error: prunella_model::IdError| BenchError::Work(error.to_string());
        Ok(Self {
            workspace: WorkspaceName::default_workspace(),
            workflow: workflow.parse().map_err(name)?,
            step: "s1".parse().map_err(name)?,
            trigger_topic,
            now: i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
        })
    }

    fn id(&self, number: u64) -> RunId {
        RunId::derive(&self.workspace, &self.workflow, RunOrigin::IdempotencyKey(&key(number)))
    }

    fn state(&self, run: &RunId, number: u64) -> RunState {
        RunState {
            run: run.clone(),
            workspace: self.workspace.clone(),
            workflow: self.workflow.clone(),
            version: WorkflowVersion(1),
            status: RunStatus::Running,
            origin: TriggerOrigin {
                topic: self.trigger_topic.clone(),
                partition: 0,
                offset: i64::try_from(number).unwrap_or(i64::MAX),
                timestamp: self.now,
            },
            idempotency_key: Some(key(number)),
            replay_of: None,
            created_at: self.now,
            deadline: self.now + 2 * HOUR,
            ended_at: None,
            steps: 1,
            extracted: 0,
            valid: 0,
            dead_lettered: 0,
            error: None,
            traceparent: None,
            done_steps: Vec::new(),
        }
    }

    fn step(&self, run: &RunId) -> StepState {
        StepState {
            run: run.clone(),
            step: self.step.clone(),
            attempt: Attempt(1),
            status: StepStatus::Retrying,
            dispatch: Dispatch::Topic,
            started_at: Some(self.now),
            ended_at: None,
            retry_at: Some(self.now + HOUR),
            batches: None,
            seen: Vec::new(),
            extracted: 0,
            valid: 0,
            dead_lettered: 0,
            error: None,
        }
    }
}

fn key(number: u64) -> String {
    format!("live-{number}")
}

fn input(run: &RunId, number: u64) -> RunInput {
    let trigger = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(100));
    RunInput { run: run.clone(), trigger: Payload::Inline(trigger.into_bytes().into()) }
}
