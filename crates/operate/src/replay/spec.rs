use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use prunella_model::{RunId, WorkflowName, WorkflowVersion};

/// What is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The trigger topic of a workflow: every record starts a new run.
    Triggers,
    /// The batches that were extracted for a workflow: their items are mapped and validated again.
    Batches,
    /// The input topic of a stream.
    Stream,
}

/// What was asked for. It stands beside the progress, so that a replay that goes on does the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub name: WorkflowName,
    pub source: Source,
    /// First offsets by partition; with them, only these partitions are read.
    #[serde(default)]
    pub from_offsets: BTreeMap<i32, i64>,
    /// Offsets behind the last record, by partition.
    #[serde(default)]
    pub until_offsets: BTreeMap<i32, i64>,
    /// Records not older than this, in milliseconds.
    #[serde(default)]
    pub since: Option<i64>,
    /// Records older than this.
    #[serde(default)]
    pub until: Option<i64>,
    /// Only the records of these runs.
    #[serde(default)]
    pub runs: Vec<RunId>,
    /// Only the records of runs of this version.
    #[serde(default)]
    pub of_version: Option<WorkflowVersion>,
    /// Another topic than the one that the work belongs on.
    #[serde(default)]
    pub to: Option<String>,
    /// The version that does the work; without it the one that was live when the replay began.
    #[serde(default)]
    pub with: Option<WorkflowVersion>,
    /// Canonical text of a definition that is in no catalog.
    #[serde(default)]
    pub with_text: Option<String>,
}
