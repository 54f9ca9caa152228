use prunella_model::WorkflowName;
use prunella_wire::records::RunStatus;

/// Which runs of a workspace a list shows. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    pub workflow: Option<WorkflowName>,
    pub status: Option<RunStatus>,
    /// Created at this time or later, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Created before this time.
    pub until: Option<i64>,
    /// Ended with this error, such as `PRN-0703`.
    pub error_code: Option<String>,
}

impl RunFilter {
    pub(crate) fn admits(&self, workflow: &str, status: &str, error_code: &str) -> bool {
        self.workflow.as_ref().is_none_or(|wanted| wanted.as_str() == workflow)
            && self.status.is_none_or(|wanted| wanted.as_str() == status)
            && self.error_code.as_ref().is_none_or(|wanted| wanted == error_code)
    }
}
