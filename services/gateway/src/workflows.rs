use futures::future::BoxFuture;
use prunella_model::{WorkflowName, WorkflowVersion, WorkspaceName};

/// The version of a workflow that new runs use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveWorkflow {
    pub workflow: WorkflowName,
    pub version: WorkflowVersion,
    /// SHA-256 of `definition`, lower-case hex.
    pub digest: String,
    pub description: Option<String>,
    /// The definition as JSON.
    pub definition: String,
    /// Milliseconds since the epoch.
    pub applied_at: i64,
    pub applied_by: String,
}

/// Where the gateway looks workflows up.
pub trait Workflows: Send + Sync {
    fn live<'a>(
        &'a self,
        workspace: &'a WorkspaceName,
        workflow: &'a WorkflowName,
    ) -> BoxFuture<'a, Option<LiveWorkflow>>;

    /// The live workflows of a workspace, by name.
    fn list<'a>(&'a self, workspace: &'a WorkspaceName) -> BoxFuture<'a, Vec<LiveWorkflow>>;
}
