//! What all requests about the mapping of a step have in common, and how it is described.

use prunella_model::{StepId, TextHash, WorkflowName, WorkspaceName};
use serde::Deserialize;
use utoipa::{IntoParams, IntoResponses};

use crate::problem::ProblemAnswer;

/// The step whose mapping is meant.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OfStep {
    /// Name of the workspace
    #[param(value_type = String)]
    pub(crate) workspace: WorkspaceName,
    /// Name of the workflow
    #[param(value_type = String)]
    pub(crate) workflow: WorkflowName,
    /// Id of the step
    #[param(value_type = String)]
    pub(crate) step: StepId,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchemaParams {
    /// Of a step that has had several schemas: the last part of the `mapping` that is meant. Without it, that of the live
    /// definition.
    #[param(value_type = Option<String>)]
    pub(crate) schema: Option<TextHash>,
}

/// There is no such mapping, or it has no such version.
#[derive(IntoResponses)]
#[response(status = 404, content_type = "application/problem+json")]
#[allow(dead_code, reason = "it describes what a problem becomes")]
pub(crate) struct NoMapping(ProblemAnswer);
