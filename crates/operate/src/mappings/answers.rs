//! What is told of mappings, to programs. Times are milliseconds since the epoch, UTC.

use prunella_model::{MappingKey, StepId, WorkflowName};
use prunella_wire::records::{MappingConsultation, MappingDecision, MappingDrift, MappingVersion};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A mapping, in short.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MappingSummary {
    /// `workspace/workflow/step/schema`.
    #[schema(value_type = String, example = "default/orders/fetch/0f3a9c5d2e7b1846")]
    pub mapping: MappingKey,
    #[schema(value_type = String)]
    pub workflow: WorkflowName,
    #[schema(value_type = String)]
    pub step: StepId,
    /// The version that is used; 1 is the author's text.
    pub active: i32,
    /// Versions besides the author's.
    pub versions: Vec<i32>,
    /// Versions that wait for a decision.
    pub candidates: Vec<i32>,
    /// When a version changed last; null while there is none besides the author's.
    pub changed_at: Option<i64>,
    /// What is wrong with the outputs of the version in use, if they do not look as they used to.
    pub drift: Option<DriftAnswer>,
}

/// Outputs are valid and do not look as they used to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriftAnswer {
    pub version: i32,
    /// In words, one for each field.
    pub found: Vec<String>,
    /// When the first output was taken that showed it, at the earliest.
    pub since: i64,
    pub noticed_at: i64,
}

impl DriftAnswer {
    pub(super) fn of(drift: &MappingDrift) -> Self {
        let MappingDrift { version, found, since, noticed_at, .. } = drift.clone();
        Self { version, found, since, noticed_at }
    }
}

/// Where the list of items was and is.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoveAnswer {
    pub was: String,
    pub is: String,
}

/// A mapping with all its versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct MappingAnswer {
    #[serde(flatten)]
    pub summary: MappingSummary,
    /// Version 1, as the live definition has it; null when it does not have this mapping any more.
    pub author: Option<String>,
    pub history: Vec<VersionAnswer>,
}

/// A version of a mapping.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionAnswer {
    /// From 2; 1 is the text of the definition.
    pub version: i32,
    pub parent: i32,
    /// Hash of the author's text that it descends from.
    pub base: String,
    pub text: String,
    /// `repaired`, `inferred`, `llm` or `human`.
    #[schema(example = "repaired")]
    pub origin: String,
    /// `candidate`, `active`, `retired`, `rejected` or `rolled-back`.
    #[schema(example = "candidate")]
    pub status: String,
    /// What changed, what it was tried on, and why.
    #[schema(value_type = Object)]
    pub evidence: Value,
    /// Who made it what it is.
    pub actor: String,
    pub created_at: i64,
    pub changed_at: i64,
    /// Where the items were and are, if the source has moved them.
    pub moved: Option<MoveAnswer>,
}

impl VersionAnswer {
    pub fn of(version: &MappingVersion) -> Self {
        let version = version.clone();
        Self {
            version: version.version,
            parent: version.parent,
            base: version.base.to_string(),
            text: version.text,
            origin: version.origin,
            status: version.status,
            evidence: serde_json::from_str(&version.evidence).unwrap_or_default(),
            actor: version.actor,
            created_at: version.created_at,
            changed_at: version.changed_at,
            moved: version.moved.map(|moved| MoveAnswer { was: moved.was, is: moved.is }),
        }
    }
}

/// The lines in which two versions differ.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceAnswer {
    #[schema(value_type = String)]
    pub mapping: MappingKey,
    pub from: i32,
    pub to: i32,
    /// The text of `from`.
    pub before: String,
    /// The text of `to`.
    pub after: String,
    /// For people: lines behind `-` and `+`; empty when the texts are the same.
    pub lines: String,
}

/// What a version makes of an item.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvalAnswer {
    #[schema(value_type = String)]
    pub mapping: MappingKey,
    pub version: i32,
    /// Digit by digit as the mapping gave it.
    #[schema(value_type = Object)]
    pub output: Box<RawValue>,
}

/// Something that became of a mapping.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    pub at: i64,
    /// `made`, `rolled-back` by the guard, `asked` a model; or what a person decided: `approve`, `reject`, `edit`,
    /// `rollback`, `heal`, `accept`.
    #[schema(example = "approve")]
    pub what: String,
    /// The version that it is about; 0: none.
    pub version: i32,
    /// Of a version that was made: the one that it was made from.
    pub parent: Option<i32>,
    /// Of a version that was made.
    pub origin: Option<String>,
    /// Of a version that was made: what it is by now.
    pub status: Option<String>,
    pub actor: String,
    pub why: String,
    /// Code of why a decision was not carried out.
    pub refused: Option<String>,
}

/// Who changes a mapping without being asked.
const HEALER: &str = "healer";

impl HistoryEntry {
    pub(super) fn made(version: &MappingVersion) -> Self {
        let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
        Self {
            at: version.created_at,
            what: "made".to_owned(),
            version: version.version,
            parent: Some(version.parent),
            origin: Some(version.origin.clone()),
            status: Some(version.status.clone()),
            actor: HEALER.to_owned(),
            why: evidence["summary"].as_str().unwrap_or_default().to_owned(),
            refused: None,
        }
    }

    /// What the guard did, if it did.
    pub(super) fn rolled_back(version: &MappingVersion) -> Option<Self> {
        let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
        let rolled_back = &evidence["rolled_back"];
        Some(Self {
            at: rolled_back["at"].as_i64()?,
            why: rolled_back["reason"].as_str().unwrap_or_default().to_owned(),
            ..Self::plain("rolled-back", version.version, HEALER)
        })
    }

    pub(super) fn decided(decision: &MappingDecision) -> Self {
        let refused = decision.error.as_ref();
        Self {
            at: decision.decided_at,
            why: refused.map_or_else(|| decision.reason.clone(), |error| error.message.clone()),
            refused: refused.map(|error| error.code.clone()),
            ..Self::plain(&decision.command, decision.version, &decision.actor)
        }
    }

    pub(super) fn asked(asked: &MappingConsultation) -> Self {
        let why = format!("{} answers, {} proposals {}", asked.asked, asked.tried.len(), asked.message);
        Self { at: asked.changed_at, why: why.trim_end().to_owned(), ..Self::plain("asked", asked.parent, HEALER) }
    }

    fn plain(what: &str, version: i32, actor: &str) -> Self {
        Self {
            at: 0,
            what: what.to_owned(),
            version,
            parent: None,
            origin: None,
            status: None,
            actor: actor.to_owned(),
            why: String::new(),
            refused: None,
        }
    }
}
