//! What the stages hand to each other.

use serde::{Deserialize, Serialize};

use prunella_model::{BatchNumber, ItemId, StepId};

use super::{ErrorInfo, StepRef};
use crate::Payload;

/// Start or resume the extraction of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractRequest {
    pub at: StepRef,
    pub deadline: i64,
    pub context: RunContext,
    pub requested_at: i64,
}

/// What the expressions of a step may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunContext {
    pub trigger: Payload,
    pub steps: Vec<StepOutputs>,
}

/// The validated items of an earlier step: one JSON array per batch, in order of the batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutputs {
    pub step: StepId,
    pub outputs: Vec<Payload>,
}

/// One batch of items on its way through transformer and validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageBatch {
    pub at: StepRef,
    pub batch: BatchNumber,
    pub deadline: i64,
    pub items: Vec<StageItem>,
    /// Items of the batch when it left the extractor.
    pub extracted: i32,
    /// Items that left the batch since, for the dead-letter topic.
    pub dead_lettered: i32,
    /// 0 before the transformer.
    pub mapping_version: i32,
    pub context: Option<RunContext>,
    /// Why the step fails once the batch is counted.
    pub error: Option<ErrorInfo>,
}

impl StageBatch {
    pub fn item_id(&self, index: i32) -> ItemId {
        ItemId {
            run: self.at.run.clone(),
            step: self.at.step.clone(),
            attempt: self.at.attempt,
            batch: self.batch,
            item: index,
        }
    }
}

/// One item: the raw input beside the mapped output, because healing needs both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageItem {
    pub index: i32,
    pub input: Payload,
    pub output: Option<Payload>,
    /// Why it could not be mapped, when it waits for its mapping to be healed.
    pub error: Option<ErrorInfo>,
}
