use std::sync::Arc;

use serde::de::DeserializeOwned;

use prunella_catalog::{Definition, MappingView};
use prunella_model::{WorkflowRef, WorkflowVersion};
use prunella_workflow::{Limits, Plan, Problems, StreamPlan};

use super::spec::Spec;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::mapper::{StreamMapper, WorkflowMapper};

/// Of all versions that do a replay's work.
pub(super) struct Versions<'a> {
    pub(super) desk: &'a Desk,
    pub(super) spec: &'a Spec,
}

impl Versions<'_> {
    pub(super) async fn live_stream(&self) -> Result<StreamMapper, OperateError> {
        self.stream_of(&*self.definition(None)?).await
    }

    /// What the replay is asked to work with.
    pub(super) async fn stream(&self) -> Result<StreamMapper, OperateError> {
        let Some(text) = &self.spec.with_text else { return self.stream_of(&*self.definition(self.spec.with)?).await };
        let plan = given(text, StreamPlan::compile)?;
        // Version 0 is in no catalog.
        let (workspace, workflow) = (self.desk.workspace.clone(), self.spec.name.clone());
        let at = WorkflowRef { workspace, workflow, version: WorkflowVersion(0) };
        StreamMapper::new(self.desk, &at, Arc::new(plan)).await
    }

    pub(super) fn live_workflow(&self, active: &Arc<MappingView>) -> Result<WorkflowMapper, OperateError> {
        self.workflow_of(&*self.definition(None)?, active)
    }

    /// What the replay is asked to compare with.
    pub(super) fn workflow(&self, active: &Arc<MappingView>) -> Result<WorkflowMapper, OperateError> {
        let Some(text) = &self.spec.with_text else {
            return self.workflow_of(&*self.definition(self.spec.with)?, active);
        };
        let plan = given(text, Plan::compile)?;
        // Mappings may read the number of the version: another one would be a difference of its own.
        let version = self.definition(None)?.at.version;
        Ok(WorkflowMapper::new(self.desk, version, Arc::new(plan), active.clone()))
    }

    async fn stream_of(&self, definition: &Definition) -> Result<StreamMapper, OperateError> {
        let plan = definition.stream_plan().map_err(OperateError::Refused)?;
        StreamMapper::new(self.desk, &definition.at, plan).await
    }

    fn workflow_of(&self, definition: &Definition, active: &Arc<MappingView>) -> Result<WorkflowMapper, OperateError> {
        let plan = definition.plan().map_err(OperateError::Refused)?;
        Ok(WorkflowMapper::new(self.desk, definition.at.version, plan, active.clone()))
    }

    pub(super) fn definition(&self, version: Option<WorkflowVersion>) -> Result<Arc<Definition>, OperateError> {
        let (workspace, workflow) = (self.desk.workspace.clone(), self.spec.name.clone());
        let found = match version {
            None => self.desk.catalog.live(&workspace, &workflow),
            Some(version) => self.desk.catalog.definition(&WorkflowRef { workspace, workflow, version }),
        };
        let missing = || match version {
            None => format!("{} has no live version", self.spec.name),
            Some(version) => format!("{} has no version {version}", self.spec.name),
        };
        found.ok_or_else(|| OperateError::Refused(missing()))
    }
}

/// A definition that is in no catalog.
fn given<D: DeserializeOwned, P>(
    text: &str,
    compile: impl FnOnce(&D, &Limits) -> Result<P, Problems>,
) -> Result<P, OperateError> {
    let refused = |reason: String| OperateError::Refused(format!("the given mapping cannot be used: {reason}"));
    let definition: D = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
    compile(&definition, &Limits::default()).map_err(|error| refused(error.to_string()))
}
