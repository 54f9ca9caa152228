//! What stands in `state.workflows`.

use serde::{Deserialize, Serialize};

use prunella_model::{WorkflowName, WorkspaceName};

/// Key `<workspace>/<workflow>@<version>`: an immutable definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowVersion {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: prunella_model::WorkflowVersion,
    /// SHA-256 of `definition`, lower-case hex.
    pub digest: String,
    /// The definition as canonical JSON, with mappings and schemas inline.
    pub definition: String,
    pub applied_at: i64,
    pub applied_by: String,
    /// `workflow` or `stream`; a later release may know more.
    pub kind: String,
}

/// Key `<workspace>/<workflow>`: the version that new runs use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowLive {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: prunella_model::WorkflowVersion,
    pub changed_at: i64,
    pub changed_by: String,
}
