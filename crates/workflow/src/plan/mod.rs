//! A workflow in the form that services execute: everything compiled, steps in order, questions answered in advance.

mod compile;
mod extract;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::Validator;
use prunella_mapping::Expression;
use prunella_model::workflow::{Heal, Healing, ItemsPath, MappingTest, OnInvalid, Workflow};
use prunella_model::{StepId, TextHash};
use prunella_redact::FieldPattern;
use serde_json::Value;

pub use extract::{PageStrategy, PlannedExtract, PlannedHttp, PlannedPagination};
pub use stream::StreamPlan;

/// The executable form of one workflow version. Share it in an [`Arc`].
#[derive(Debug)]
pub struct Plan {
    pub(crate) workflow: Workflow,
    pub(crate) steps: Vec<PlannedStep>,
    pub(crate) by_id: HashMap<StepId, usize>,
    pub(crate) output: PlannedOutput,
}

/// One step. Indices are positions in [`Plan::steps`].
#[derive(Debug)]
pub struct PlannedStep {
    pub index: usize,
    pub id: StepId,
    /// Steps that must have ended before this one starts. Each has a smaller index.
    pub needs: Vec<usize>,
    /// The steps needed directly or through others, in ascending order.
    pub ancestors: Vec<usize>,
    /// Evaluated on the context document `{trigger, steps, run}`; the step is skipped unless it gives `true`.
    pub when: Option<Expression>,
    pub extract: PlannedExtract,
    /// Where the items stand in an answer; without it the whole answer is one item.
    pub items: Option<ItemsPath>,
    /// Evaluated on each item, with `$trigger`, `$steps` and `$run` bound; without it items pass as they are.
    pub transform: Option<Arc<Expression>>,
    /// Asserted on each mapped item.
    pub schema: Option<Arc<Validator>>,
    pub on_invalid: OnInvalid,
    /// What its mapping is healed by, if it may be.
    pub healing: Option<PlannedHealing>,
    pub ordered: bool,
    /// Whether a later step or `output.transform` reads this step's output, so that it must be kept for the run.
    pub output_wanted: bool,
    /// Whether the step's own templates or mapping read `trigger`, `steps` or `run`.
    pub context_wanted: bool,
}

/// What a mapping is healed by.
#[derive(Debug)]
pub struct PlannedHealing {
    /// Not [`Heal::Off`].
    pub policy: Heal,
    /// The author's mapping.
    pub text: Arc<str>,
    pub base: TextHash,
    pub schema: Value,
    pub schema_hash: TextHash,
    pub settings: Healing,
    /// Fields that are not remembered.
    pub redact: Vec<FieldPattern>,
    /// Examples that every mapping has to get right.
    pub tests: Vec<MappingTest>,
}

/// Where validated records come from.
#[derive(Debug)]
pub struct PlannedOutput {
    /// The step whose items go to the output topic; for `output.transform` the implicit last step `output`.
    pub from: usize,
    /// Evaluated on the validated record; without it the key is the run id.
    pub key: Option<Arc<Expression>>,
}

impl PlannedStep {
    /// Whether its condition or its source read `trigger`, `steps` or `run`.
    pub fn extraction_reads_context(&self) -> bool {
        self.when.is_some() || self.extract.reads_context()
    }
}

impl Plan {
    /// The definition this was compiled from.
    pub fn workflow(&self) -> &Workflow {
        &self.workflow
    }

    /// The steps, each after all that it needs.
    pub fn steps(&self) -> &[PlannedStep] {
        &self.steps
    }

    pub fn step(&self, id: &StepId) -> Option<&PlannedStep> {
        self.steps.get(*self.by_id.get(id)?)
    }

    pub fn output(&self) -> &PlannedOutput {
        &self.output
    }
}
