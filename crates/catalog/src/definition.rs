use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use prunella_model::stream::Stream;
use prunella_model::workflow::Workflow;
use prunella_model::{Kind, WorkflowRef};
use prunella_workflow::{Limits, Plan, StreamPlan};

/// One version of a workflow or stream. Compiled when first used, once.
pub struct Definition {
    pub at: WorkflowRef,
    /// The text of a kind that a later release wrote, when this one does not know it.
    pub kind: Result<Kind, String>,
    pub digest: String,
    /// Canonical JSON.
    pub text: String,
    pub applied_at: i64,
    pub applied_by: String,
    compiled: OnceLock<Result<Compiled, String>>,
}

/// The executable form of a definition.
#[derive(Clone)]
pub enum Compiled {
    Workflow(Arc<Plan>),
    Stream(Arc<StreamPlan>),
}

impl Definition {
    pub(crate) fn new(record: prunella_wire::records::WorkflowVersion) -> Self {
        Self {
            at: WorkflowRef { workspace: record.workspace, workflow: record.workflow, version: record.version },
            kind: Kind::from_str(&record.kind),
            digest: record.digest,
            text: record.definition,
            applied_at: record.applied_at,
            applied_by: record.applied_by,
            compiled: OnceLock::new(),
        }
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == Ok(kind)
    }

    /// The executable form.
    ///
    /// # Errors
    /// A text when this release cannot execute the definition: a later release wrote it.
    pub fn compiled(&self) -> Result<Compiled, String> {
        self.compiled.get_or_init(|| self.compile()).clone()
    }

    /// The executable form of a workflow.
    ///
    /// # Errors
    /// As [`Definition::compiled`], and for a stream.
    pub fn plan(&self) -> Result<Arc<Plan>, String> {
        match self.compiled()? {
            Compiled::Workflow(plan) => Ok(plan),
            Compiled::Stream(_) => Err(format!("{} is a stream", self.at)),
        }
    }

    /// The executable form of a stream.
    ///
    /// # Errors
    /// As [`Definition::compiled`], and for a workflow.
    pub fn stream_plan(&self) -> Result<Arc<StreamPlan>, String> {
        match self.compiled()? {
            Compiled::Stream(plan) => Ok(plan),
            Compiled::Workflow(_) => Err(format!("{} is a workflow", self.at)),
        }
    }

    fn compile(&self) -> Result<Compiled, String> {
        let limits = Limits::default();
        let unreadable = |error: serde_json::Error| error.to_string();
        match self.kind.as_ref().map_err(|kind| format!("its kind {kind:?} is not known"))? {
            Kind::Workflow => {
                let workflow: Workflow = serde_json::from_str(&self.text).map_err(unreadable)?;
                let plan = Plan::compile(&workflow, &limits).map_err(|problems| problems.to_string())?;
                Ok(Compiled::Workflow(Arc::new(plan)))
            }
            Kind::Stream => {
                let stream: Stream = serde_json::from_str(&self.text).map_err(unreadable)?;
                let plan = StreamPlan::compile(&stream, &limits).map_err(|problems| problems.to_string())?;
                Ok(Compiled::Stream(Arc::new(plan)))
            }
        }
    }
}
