//! What is left of the runs of failed items: their mappings may read the trigger and the outputs of earlier steps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use prunella_model::{RunId, StepId};
use prunella_stream::restore_partitions;
use prunella_wire::records::{RunContext, RunInput, RunState, StepOutput, StepOutputs};
use prunella_wire::{ControlRecord, Payload};
use prunella_workflow::{Plan, PlannedStep};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};
use crate::scan::Scan;

#[derive(Default)]
struct Remains {
    state: Option<RunState>,
    trigger: Option<Payload>,
    outputs: BTreeMap<(StepId, i32, i64), Payload>,
}

/// What `state.runs` still knows of some runs.
#[derive(Default)]
pub(super) struct RunContexts(HashMap<RunId, Remains>);

impl RunContexts {
    pub(super) async fn read(desk: &Desk, offsets: &Offsets, runs: &HashSet<RunId>) -> Result<Self, OperateError> {
        let mut found = Self::default();
        if runs.is_empty() {
            return Ok(found);
        }
        let topic = desk.topics.state_runs();
        let homes = offsets.bounds(&topic).await?.map_or(0, |partitions| partitions.len());
        let homes = i32::try_from(homes).unwrap_or(i32::MAX).max(1);
        let partitions: BTreeSet<i32> = runs.iter().map(|run| run.home(homes)).collect();
        let partitions: Vec<i32> = partitions.into_iter().collect();
        let mut records = restore_partitions(&desk.kafka, &topic, &partitions)?;
        while let Some(chunk) = records.recv().await {
            for record in chunk? {
                let run = std::str::from_utf8(&record.key).ok().and_then(|key| key.get(..32)?.parse::<RunId>().ok());
                let (Some(run), Some(value)) = (run.filter(|run| runs.contains(run)), record.value) else { continue };
                let remains = found.0.entry(run).or_default();
                let opened = desk.codec.open(&value).await?;
                if opened.name() == RunState::NAME {
                    remains.state = Some(opened.read()?);
                } else if opened.name() == RunInput::NAME {
                    remains.trigger = Some(opened.read::<RunInput>()?.trigger);
                } else if opened.name() == StepOutput::NAME {
                    let output: StepOutput = opened.read()?;
                    remains.outputs.insert((output.step, output.attempt.0, output.batch.0), output.outputs);
                }
            }
        }
        for remains in found.0.values_mut().filter(|remains| remains.trigger.is_none()) {
            remains.trigger = trigger_of(desk, offsets, remains.state.as_ref()).await?;
        }
        Ok(found)
    }

    /// What the expressions of `step` may read; `None` when too little is left of the run.
    pub(super) fn of(&self, run: &RunId, plan: &Plan, step: &PlannedStep) -> Option<RunContext> {
        let remains = self.0.get(run)?;
        let steps = step.ancestors.iter().map(|index| &plan.steps()[*index]).filter(|step| step.output_wanted);
        let outputs_of = |step: &PlannedStep| {
            let of_step = remains.outputs.iter().filter(|((id, ..), _)| *id == step.id);
            StepOutputs { step: step.id.clone(), outputs: of_step.map(|(_, payload)| payload.clone()).collect() }
        };
        Some(RunContext { trigger: remains.trigger.clone()?, steps: steps.map(outputs_of).collect() })
    }
}

/// Runs that were over in one go keep no copy of their trigger: it is where it was.
async fn trigger_of(desk: &Desk, offsets: &Offsets, state: Option<&RunState>) -> Result<Option<Payload>, OperateError> {
    let Some(origin) = state.map(|state| &state.origin) else { return Ok(None) };
    let Some(bounds) = offsets.bounds(&origin.topic).await? else { return Ok(None) };
    if bounds.get(&origin.partition).is_none_or(|known| origin.offset < known.first || origin.offset >= known.end) {
        return Ok(None);
    }
    let range = Bounds { first: origin.offset, end: origin.offset + 1 };
    let mut scan = Scan::ranges(&desk.kafka, &origin.topic, [(origin.partition, range)].into()).await?;
    Ok(scan
        .next()
        .await
        .filter(|record| record.offset == origin.offset)
        .and_then(|record| record.value)
        .map(Payload::Inline))
}
