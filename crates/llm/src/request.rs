use serde::{Deserialize, Serialize};
use serde_json::Value;

use prunella_model::{RunId, StepId, WorkflowName, WorkspaceName};
use prunella_redact::FieldPattern;
use prunella_vault::Secret;

use crate::model_name::ModelName;
use crate::settings::BudgetLimits;

/// Who asks: what a call is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub step: StepId,
    /// Mapping key.
    pub mapping: String,
    /// The run whose item failed, if it was one.
    pub run: Option<RunId>,
}

/// "Repair this mapping", or write one if there is none.
#[derive(Debug, Clone)]
pub struct RepairRequest {
    pub subject: Subject,
    /// The target schema.
    pub schema: Value,
    /// The mapping as it was.
    pub mapping: Option<String>,
    /// What is wrong with the outputs of the failing inputs.
    pub errors: Vec<FieldError>,
    /// What came in and what went out when all was well.
    pub remembered: Vec<Sample>,
    /// Inputs that fail now.
    pub failing: Vec<Value>,
    /// Mappings that were proposed before and not proven.
    pub tried: Vec<Tried>,
    /// Another model than `llm.model`.
    pub model: Option<ModelName>,
    /// What calls for this mapping may cost in an hour, besides `llm.budget.mapping`.
    pub limits: BudgetLimits,
    /// Fields to redact besides those of `llm.redact`.
    pub redact: Vec<FieldPattern>,
    /// Secrets that may occur in the samples, such as the credentials of their source.
    pub secrets: Vec<Secret>,
    pub cache: CacheUse,
}

/// One thing that is wrong with an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON Pointer into the output; empty for the whole.
    pub path: String,
    pub message: String,
}

/// A mapping that was proposed before, and why it was not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub mapping: String,
    pub because: String,
}

/// An input with the output that was right for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub input: Value,
    pub output: Value,
}

/// Whether an earlier answer to the same request will do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheUse {
    #[default]
    Use,
    /// Ask again, and keep the new answer: none of the earlier one could be proven.
    Renew,
}
