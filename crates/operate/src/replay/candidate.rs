use std::sync::Arc;

use prunella_catalog::Definition;
use prunella_model::stream::Stream;
use prunella_model::{WorkflowRef, WorkflowVersion};
use prunella_workflow::{Limits, StreamPlan};

use super::spec::Spec;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::mapper::StreamMapper;

/// The version of a stream that does a replay's work, beside the one that is live.
pub struct Candidate {
    pub(super) mapper: StreamMapper,
}

fn definition(desk: &Desk, spec: &Spec, version: Option<WorkflowVersion>) -> Result<Arc<Definition>, OperateError> {
    let found = match version {
        None => desk.catalog.live(&desk.workspace, &spec.name),
        Some(version) => desk.catalog.definition(&WorkflowRef {
            workspace: desk.workspace.clone(),
            workflow: spec.name.clone(),
            version,
        }),
    };
    let missing = || match version {
        None => format!("{} has no live version", spec.name),
        Some(version) => format!("{} has no version {version}", spec.name),
    };
    found.ok_or_else(|| OperateError::Refused(missing()))
}

impl Candidate {
    /// What is live.
    pub(super) async fn live(desk: &Desk, spec: &Spec) -> Result<Self, OperateError> {
        Self::of_definition(desk, &*definition(desk, spec, None)?).await
    }

    /// What the replay is asked to work with.
    pub(super) async fn of(desk: &Desk, spec: &Spec) -> Result<Self, OperateError> {
        let Some(text) = &spec.with_text else {
            return Self::of_definition(desk, &*definition(desk, spec, spec.with)?).await;
        };
        let refused = |reason: String| OperateError::Refused(format!("the given mapping cannot be used: {reason}"));
        let stream: Stream = serde_json::from_str(text).map_err(|error| refused(error.to_string()))?;
        let plan = StreamPlan::compile(&stream, &Limits::default()).map_err(|error| refused(error.to_string()))?;
        // Version 0 is in no catalog.
        let at =
            WorkflowRef { workspace: desk.workspace.clone(), workflow: spec.name.clone(), version: WorkflowVersion(0) };
        Ok(Self { mapper: StreamMapper::new(desk, &at, Arc::new(plan)).await? })
    }

    async fn of_definition(desk: &Desk, definition: &Definition) -> Result<Self, OperateError> {
        let plan = definition.stream_plan().map_err(OperateError::Refused)?;
        Ok(Self { mapper: StreamMapper::new(desk, &definition.at, plan).await? })
    }
}
