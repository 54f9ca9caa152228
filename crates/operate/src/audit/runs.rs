//! What `state.runs` and `state.extractions` say of the runs of one workflow.

use std::collections::{BTreeMap, HashMap};

use prunella_model::{RunId, StepId, WorkflowName};
use prunella_stream::restore_partitions;
use prunella_wire::ControlRecord;
use prunella_wire::records::{Extraction, RunState, StepState};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;

pub(super) struct KnownRun {
    pub(super) state: RunState,
    pub(super) steps: BTreeMap<StepId, StepState>,
    /// Items that extractions have sent and that no result has counted yet.
    pub(super) in_flight: i64,
}

pub(super) async fn runs(
    desk: &Desk,
    offsets: &Offsets,
    name: &WorkflowName,
) -> Result<HashMap<RunId, KnownRun>, OperateError> {
    let topic = desk.topics.state_runs();
    let mut states: HashMap<RunId, RunState> = HashMap::new();
    let mut steps: HashMap<RunId, BTreeMap<StepId, StepState>> = HashMap::new();
    let mut records = restore_partitions(&desk.kafka, &topic, &partitions(offsets, &topic).await?)?;
    while let Some(chunk) = records.recv().await {
        for record in chunk? {
            let Some(value) = record.value else {
                forget(&record.key, &mut states);
                continue;
            };
            let opened = desk.codec.open(&value).await?;
            if opened.name() == RunState::NAME {
                let mut state: RunState = opened.read()?;
                if state.workspace == desk.workspace && state.workflow == *name {
                    let done = std::mem::take(&mut state.done_steps);
                    let done = done.into_iter().map(|step| (step.step.clone(), step));
                    steps.entry(state.run.clone()).or_default().extend(done);
                    states.insert(state.run.clone(), state);
                }
            } else if opened.name() == StepState::NAME {
                let step: StepState = opened.read()?;
                steps.entry(step.run.clone()).or_default().insert(step.step.clone(), step);
            }
        }
    }
    let known = states.into_iter().map(|(run, state)| {
        let steps = steps.remove(&run).unwrap_or_default();
        (run, KnownRun { state, steps, in_flight: 0 })
    });
    let mut known: HashMap<RunId, KnownRun> = known.collect();
    note_in_flight(desk, offsets, &mut known).await?;
    Ok(known)
}

fn forget(key: &[u8], states: &mut HashMap<RunId, RunState>) {
    if let Some(run) = std::str::from_utf8(key).ok().and_then(|key| key.parse::<RunId>().ok()) {
        states.remove(&run);
    }
}

async fn note_in_flight(
    desk: &Desk,
    offsets: &Offsets,
    runs: &mut HashMap<RunId, KnownRun>,
) -> Result<(), OperateError> {
    let topic = desk.topics.state_extractions();
    let mut sent: HashMap<(RunId, StepId, i32), i64> = HashMap::new();
    let mut records = restore_partitions(&desk.kafka, &topic, &partitions(offsets, &topic).await?)?;
    while let Some(chunk) = records.recv().await {
        for record in chunk? {
            let Some(value) = record.value else { continue };
            let extraction: Extraction = desk.codec.decode(&value).await?;
            let at = extraction.at;
            if runs.get(&at.run).is_some_and(|run| !run.state.status.is_terminal()) {
                sent.insert((at.run, at.step, at.attempt.0), extraction.items);
            }
        }
    }
    for ((run, step, attempt), items) in sent {
        let Some(known) = runs.get_mut(&run) else { continue };
        let counted = known.steps.get(&step).filter(|step| step.attempt.0 == attempt).map_or(0, |step| step.extracted);
        known.in_flight += (items - counted).max(0);
    }
    Ok(())
}

async fn partitions(offsets: &Offsets, topic: &str) -> Result<Vec<i32>, OperateError> {
    Ok(offsets.bounds(topic).await?.unwrap_or_default().into_keys().collect())
}
