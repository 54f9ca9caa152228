use std::collections::BTreeMap;

use indexmap::IndexMap;

use prunella_model::{RunId, StepId};
use prunella_telemetry::emit;
use prunella_wire::records::{RunInput, RunState, StepOutput, StepState};
use prunella_wire::{Codec, ControlRecord, Payload, WireError};

use super::packed::PackedRun;
use crate::events::UnreadableRun;
use crate::machine::Run;

/// What the records of a run say.
#[derive(Default)]
pub(super) struct Remains {
    pub(super) state: Option<RunState>,
    trigger: Option<Payload>,
    steps: IndexMap<StepId, StepState>,
    outputs: Vec<StepOutput>,
}

impl Remains {
    /// A record that cannot be read is reported and left alone.
    pub(super) async fn read(run: &RunId, packed: &PackedRun, codec: &Codec) -> Self {
        let mut remains = Self::default();
        for (suffix, value) in packed.records() {
            if let Err(error) = remains.take(value, codec).await {
                emit(UnreadableRun { run: run.as_str(), suffix, error: &error });
            }
        }
        remains
    }

    async fn take(&mut self, value: &[u8], codec: &Codec) -> Result<(), WireError> {
        let opened = codec.open(value).await?;
        match opened.name() {
            RunState::NAME => self.state = Some(opened.read()?),
            RunInput::NAME => self.trigger = Some(opened.read::<RunInput>()?.trigger),
            StepState::NAME => {
                let step: StepState = opened.read()?;
                self.steps.insert(step.step.clone(), step);
            }
            StepOutput::NAME => self.outputs.push(opened.read()?),
            _ => return Err(WireError::UnexpectedRecord { found: opened.name().to_owned(), expected: RunState::NAME }),
        }
        Ok(())
    }

    /// The run, if its first records were written whole.
    pub(super) fn into_run(self) -> Option<Run> {
        let mut run = Run { state: self.state?, steps: self.steps, trigger: self.trigger?, outputs: BTreeMap::new() };
        for output in self.outputs {
            run.restore_output(output);
        }
        Some(run)
    }
}
