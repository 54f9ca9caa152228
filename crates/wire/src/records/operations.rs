//! What stands in `state.operations`.

use serde::{Deserialize, Serialize};

use prunella_model::{WorkflowName, WorkspaceName};

/// What was decided about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterAction {
    /// Written by a later release; the letter is left alone.
    Unknown,
    Redriven,
    Discarded,
}

impl LetterAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
        }
    }
}

/// Key `letter/<topic>/<partition>/<offset>`: written in the transaction that carries the decision out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterMark {
    pub workspace: WorkspaceName,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub action: LetterAction,
    /// Why the letter was written.
    pub code: String,
    /// Topic that a redriven letter was sent to.
    pub became: String,
    pub at: i64,
    pub actor: String,
    pub reason: String,
}

/// Key `replay/<id>`: written in the transaction that carries the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayProgress {
    pub id: String,
    pub workspace: WorkspaceName,
    pub name: WorkflowName,
    /// What was asked for, as JSON.
    pub spec: String,
    pub source: String,
    pub target: String,
    pub partitions: Vec<ReplayPartition>,
    pub read: i64,
    pub written: i64,
    /// Records for which there is no output.
    pub refused: i64,
    pub started_at: i64,
    pub updated_at: i64,
    pub ended_at: Option<i64>,
    pub actor: String,
}

/// Records `next..until` of a partition are still to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayPartition {
    pub partition: i32,
    pub next: i64,
    pub until: i64,
}
