use std::sync::{Arc, OnceLock};

use prunella_model::WorkflowRef;
use prunella_workflow::{Limits, Plan};

/// One version of a workflow. Compiled when first used, once.
pub struct Definition {
    pub at: WorkflowRef,
    pub digest: String,
    /// Canonical JSON.
    pub text: String,
    pub applied_at: i64,
    pub applied_by: String,
    plan: OnceLock<Result<Arc<Plan>, String>>,
}

impl Definition {
    pub(crate) fn new(record: prunella_wire::records::WorkflowVersion) -> Self {
        Self {
            at: WorkflowRef { workspace: record.workspace, workflow: record.workflow, version: record.version },
            digest: record.digest,
            text: record.definition,
            applied_at: record.applied_at,
            applied_by: record.applied_by,
            plan: OnceLock::new(),
        }
    }

    /// The executable form.
    ///
    /// # Errors
    /// A text when this release cannot execute the definition: a later release wrote it.
    pub fn plan(&self) -> Result<Arc<Plan>, String> {
        self.plan
            .get_or_init(|| {
                let workflow = serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
                Plan::compile(&workflow, &Limits::default()).map(Arc::new).map_err(|problems| problems.to_string())
            })
            .clone()
    }
}
