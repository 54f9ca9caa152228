//! Which trigger records the runs of a workflow came of.

use std::collections::{BTreeSet, HashSet};

use prunella_model::{RunId, WorkflowVersion};
use prunella_stream::restore_partitions;
use prunella_wire::ControlRecord;
use prunella_wire::records::RunState;

use super::spec::Spec;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;

/// The runs that a replay is about, and where their triggers stand.
pub(super) struct Origins {
    pub(super) runs: HashSet<RunId>,
    pub(super) places: HashSet<(i32, i64)>,
}

/// `None` when the replay names neither runs nor their version.
pub(super) async fn origins(desk: &Desk, offsets: &Offsets, spec: &Spec) -> Result<Option<Origins>, OperateError> {
    if spec.runs.is_empty() && spec.of_version.is_none() {
        return Ok(None);
    }
    let named: HashSet<&RunId> = spec.runs.iter().collect();
    let is_wanted = |state: &RunState, version: Option<WorkflowVersion>| {
        state.workspace == desk.workspace
            && state.workflow == spec.name
            && (named.is_empty() || named.contains(&state.run))
            && version.is_none_or(|version| state.version == version)
    };
    let topic = desk.topics.state_runs();
    let homes: BTreeSet<i32> = offsets.bounds(&topic).await?.unwrap_or_default().into_keys().collect();
    let homes: Vec<i32> = homes.into_iter().collect();
    let mut found = Origins { runs: HashSet::new(), places: HashSet::new() };
    let mut records = restore_partitions(&desk.kafka, &topic, &homes)?;
    while let Some(chunk) = records.recv().await {
        for record in chunk? {
            // Other keys are those of steps and outputs.
            let Some(value) = record.value.filter(|_| record.key.len() == 32) else { continue };
            let opened = desk.codec.open(&value).await?;
            if opened.name() != RunState::NAME {
                continue;
            }
            let state: RunState = opened.read()?;
            if is_wanted(&state, spec.of_version) {
                found.places.insert((state.origin.partition, state.origin.offset));
                found.runs.insert(state.run);
            }
        }
    }
    if let Some(unknown) = spec.runs.iter().find(|run| !found.runs.contains(*run)) {
        return Err(OperateError::Refused(format!("{} has no run {unknown}, or not any more", spec.name)));
    }
    Ok(Some(found))
}
