//! Versions of mappings: looked at, tried on an item, decided about. The command line and the HTTP API do the same here.

mod answers;
mod decide;
mod known;

use std::sync::Arc;

use prunella_catalog::{Catalog, MappingHistory, MappingView};
use prunella_mapping::Limits;
use prunella_model::{MappingKey, StepId, TextHash, WorkflowName, WorkspaceName};
use prunella_stream::Output;
use prunella_topology::Topics;
use prunella_wire::Codec;

use crate::error::OperateError;

pub use answers::{
    DifferenceAnswer, DriftAnswer, EvalAnswer, HistoryEntry, MappingAnswer, MappingSummary, MoveAnswer, VersionAnswer,
};
pub use decide::{Asked, Decided, Decision};
pub use known::KnownMapping;

/// What mappings are looked at and decided about with.
#[derive(Clone)]
pub struct MappingDesk {
    pub topics: Topics,
    pub codec: Arc<Codec>,
    pub output: Output,
    pub catalog: Arc<Catalog>,
    pub view: Arc<MappingView>,
    /// Of an evaluation.
    pub limits: Limits,
    /// Who is named in what is decided.
    pub actor: String,
}

/// The mapping of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingAddress {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub step: StepId,
    /// Of a step that has had several schemas: the hash of the one that is meant. Without it that of the live definition,
    /// or, if nothing ever became of that mapping, the one that changed last.
    pub schema: Option<TextHash>,
}

impl From<MappingKey> for MappingAddress {
    fn from(key: MappingKey) -> Self {
        let MappingKey { workspace, workflow, step, schema } = key;
        Self { workspace, workflow, step, schema: Some(schema) }
    }
}

impl MappingDesk {
    /// The mappings of a workspace that have versions besides their author's.
    pub fn list(&self, workspace: &WorkspaceName) -> Vec<KnownMapping> {
        let all = self.view.all().into_iter().filter(|(key, _)| key.workspace == *workspace);
        all.map(|(key, history)| KnownMapping { authors: self.authors(&key), key, history }).collect()
    }

    /// # Errors
    /// [`OperateError`] when the step has no mapping that may be healed, and had none before.
    pub fn find(&self, address: &MappingAddress) -> Result<KnownMapping, OperateError> {
        let live = self.live_key(address);
        if let Some(key) = &live
            && let Some(history) = self.view.history(key)
        {
            return Ok(KnownMapping { authors: self.authors(key), key: key.clone(), history });
        }
        let is_meant = |known: &KnownMapping| {
            known.key.workflow == address.workflow
                && known.key.step == address.step
                && address.schema.as_ref().is_none_or(|schema| known.key.schema == *schema)
        };
        let changed = self.list(&address.workspace).into_iter().filter(is_meant).max_by_key(KnownMapping::changed_at);
        let untouched =
            || live.map(|key| KnownMapping { authors: self.authors(&key), key, history: MappingHistory::default() });
        changed.or_else(untouched).ok_or_else(|| {
            let MappingAddress { workflow, step, workspace, .. } = address;
            OperateError::mapping_unknown(format!(
                "{workflow}/{step} in workspace {workspace} has no mapping that may be healed, and had none: `heal` of the step is off, or the name is wrong"
            ))
        })
    }

    /// The mapping that new runs use, if it may be healed and is the one that is meant.
    fn live_key(&self, address: &MappingAddress) -> Option<MappingKey> {
        let plan = self.catalog.live(&address.workspace, &address.workflow)?.plan().ok()?;
        let schema = plan.step(&address.step)?.healing.as_ref()?.schema_hash.clone();
        if address.schema.as_ref().is_some_and(|meant| *meant != schema) {
            return None;
        }
        let MappingAddress { workspace, workflow, step, .. } = address.clone();
        Some(MappingKey { workspace, workflow, step, schema })
    }

    /// The author's text as new runs use it, if the live definition has this mapping.
    fn authors(&self, key: &MappingKey) -> Option<String> {
        let plan = self.catalog.live(&key.workspace, &key.workflow)?.plan().ok()?;
        let healing = plan.step(&key.step)?.healing.as_ref()?;
        (healing.schema_hash == key.schema).then(|| healing.text.to_string())
    }
}
