//! The catalog as plain data: what the records of `state.workflows` add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use prunella_model::{WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_wire::records::WorkflowLive;
use prunella_wire::{Codec, ControlRecord, WireError};

use crate::definition::Definition;

/// Key of a version.
pub(crate) fn version_key(workspace: &WorkspaceName, workflow: &WorkflowName, version: WorkflowVersion) -> String {
    format!("{workspace}/{workflow}@{version}")
}

/// Key of a live pointer.
pub(crate) fn live_key(workspace: &WorkspaceName, workflow: &WorkflowName) -> String {
    format!("{workspace}/{workflow}")
}

/// Every version of one workflow and which of them new runs use.
#[derive(Clone, Default)]
pub struct WorkflowHistory {
    pub live: Option<WorkflowLive>,
    pub versions: BTreeMap<WorkflowVersion, Arc<Definition>>,
}

impl WorkflowHistory {
    pub fn latest(&self) -> Option<&Arc<Definition>> {
        self.versions.last_key_value().map(|(_, definition)| definition)
    }

    /// The definition that new runs use.
    pub fn live_definition(&self) -> Option<&Arc<Definition>> {
        self.versions.get(&self.live.as_ref()?.version)
    }
}

/// All workflows of an installation.
#[derive(Clone, Default)]
pub struct History {
    pub workflows: BTreeMap<(WorkspaceName, WorkflowName), WorkflowHistory>,
}

impl History {
    /// Takes one record of `state.workflows`. Records of types this release does not know are left alone.
    pub(crate) async fn apply(&mut self, codec: &Codec, value: &[u8]) -> Result<(), WireError> {
        let opened = codec.open(value).await?;
        match opened.name() {
            prunella_wire::records::WorkflowVersion::NAME => {
                let definition = Definition::new(opened.read()?);
                let key = (definition.at.workspace.clone(), definition.at.workflow.clone());
                let history = self.workflows.entry(key).or_default();
                // A version is immutable: reading it again changes nothing, and keeps what was compiled.
                history.versions.entry(definition.at.version).or_insert_with(|| Arc::new(definition));
            }
            WorkflowLive::NAME => {
                let live: WorkflowLive = opened.read()?;
                let key = (live.workspace.clone(), live.workflow.clone());
                self.workflows.entry(key).or_default().live = Some(live);
            }
            other => tracing::warn!(record = other, "a record of an unknown type in the catalog was left alone"),
        }
        Ok(())
    }

    pub fn workflow(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> Option<&WorkflowHistory> {
        self.workflows.get(&(workspace.clone(), workflow.clone()))
    }
}
