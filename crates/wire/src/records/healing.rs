//! What the healer takes, keeps and decides.

use serde::{Deserialize, Serialize};

use prunella_model::{MappingKey, TextHash};

use super::{BatchResult, ErrorInfo, StageBatch, StepRef, TriggerOrigin};

/// The items of a batch that wait for their mapping. Key `<mapping>/<run>/<step>/<attempt>/<batch>` of `state.parked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedBatch {
    pub mapping: MappingKey,
    /// The author's text of the mapping that failed.
    pub base: TextHash,
    /// The items that wait; each says why. Its mapping version is the one that failed.
    pub work: StageBatch,
    /// What is told to the run once no item waits any more, without those that do.
    pub result: BatchResult,
    /// The record that the batch came from.
    pub source: TriggerOrigin,
    pub traceparent: Option<String>,
    /// Mappings that were tried on it since it is parked.
    pub tries: i32,
    /// Items that the mapping served well in the same process since the batch that was parked before.
    pub valid: i32,
    /// Version that it was driven with while that version is watched; 0: it waits.
    pub driven_with: i32,
    pub parked_at: i64,
}

impl ParkedBatch {
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.mapping, self.work.at, self.work.batch)
    }
}

/// What an attempt to heal a mapping came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealOutcome {
    pub mapping: MappingKey,
    /// The author's text that the attempt began with.
    pub base: TextHash,
    /// Version that the attempt began with; an outcome for another one is dropped.
    pub parent: i32,
    /// `activate`, `review`, `refuse` or `unchanged`.
    pub verdict: String,
    pub text: Option<String>,
    pub origin: String,
    /// JSON for people: what changed, what it was tried on, why.
    pub evidence: String,
    /// Proposals of a model, and what became of each.
    pub tried: Vec<TriedMapping>,
    /// A language model is asked next: its answer follows.
    pub asks_model: bool,
    pub ended_at: i64,
    /// Where the items were and are, if they have moved.
    pub moved: Option<ItemsMove>,
}

/// A mapping that a model proposed, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedMapping {
    pub text: String,
    /// Why the model proposed it, in its words.
    pub reason: String,
    /// `activate`, `review` or `refuse`; `None`: not tried yet.
    pub verdict: Option<String>,
    /// Why it was not proven.
    pub because: String,
}

/// What a language model answered, journaled before any of it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelAnswer {
    pub mapping: MappingKey,
    /// The author's text that the attempt began with.
    pub base: TextHash,
    /// Version that the attempt began with; an answer for another one is dropped.
    pub parent: i32,
    /// Id of the consultation on `log.llm`.
    pub call: String,
    pub model: String,
    pub proposed: Vec<TriedMapping>,
    /// Why there is no proposal.
    pub error: Option<ErrorInfo>,
    /// When it is worth asking again, if the failure has nothing to do with the question.
    pub again_at: Option<i64>,
    pub answered_at: i64,
}

/// Key `<mapping>#<base>#llm` of `state.mappings`: what models have been asked about one version of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingConsultation {
    pub mapping: MappingKey,
    pub base: TextHash,
    /// The version that failed.
    pub parent: i32,
    /// Answers so far.
    pub asked: i32,
    pub tried: Vec<TriedMapping>,
    /// Asking again is of no use.
    pub is_over: bool,
    /// Nobody is asked before.
    pub again_at: Option<i64>,
    /// Of the last failure.
    pub message: String,
    pub changed_at: i64,
}

impl MappingConsultation {
    pub fn key(&self) -> String {
        format!("{}#{}#llm", self.mapping, self.base)
    }
}

/// What a person wants done with a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingCommand {
    pub mapping: MappingKey,
    pub id: String,
    /// `approve`, `reject`, `edit`, `rollback`, `heal` or `accept`.
    pub command: String,
    /// The version it is about; 1 is the author's.
    pub version: i32,
    pub text: Option<String>,
    pub actor: String,
    pub reason: String,
    pub asked_at: i64,
    /// The author's text that it is decided for; `None`: that of the version it is about.
    pub base: Option<TextHash>,
    /// The version that was in use when it was decided: refused if another is by now.
    pub in_use: Option<i32>,
}

/// A command that the healer has taken, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingDecision {
    /// Of the command. One that comes again is not carried out again.
    pub id: String,
    pub command: String,
    /// The version that it made or was about; 0: none.
    pub version: i32,
    pub actor: String,
    pub reason: String,
    pub decided_at: i64,
    /// Why it was not carried out.
    pub error: Option<ErrorInfo>,
}

/// Key `<mapping>#decisions` of `state.mappings`: what people have decided of late, the newest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingDecisions {
    pub mapping: MappingKey,
    pub decisions: Vec<MappingDecision>,
    pub changed_at: i64,
}

impl MappingDecisions {
    pub fn key(&self) -> String {
        Self::key_of(&self.mapping)
    }

    pub fn key_of(mapping: &MappingKey) -> String {
        format!("{mapping}#decisions")
    }
}

/// Key `<mapping>@<version>` of `state.mappings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingVersion {
    pub mapping: MappingKey,
    /// From 2; 1 is the text of the definition.
    pub version: i32,
    pub parent: i32,
    /// The author's text that it descends from.
    pub base: TextHash,
    pub text: String,
    /// `repaired`, `inferred`, `llm` or `human`.
    pub origin: String,
    /// `candidate`, `active`, `retired`, `rejected` or `rolled-back`.
    pub status: String,
    pub evidence: String,
    pub actor: String,
    pub created_at: i64,
    pub changed_at: i64,
    /// Where the items were and are, if the source has moved them.
    pub moved: Option<ItemsMove>,
}

/// The list of items has moved within the answers of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemsMove {
    /// The path of the definition. One that has another is not meant.
    pub was: String,
    pub is: String,
}

/// The items of a step are not where its definition says, or where they were found last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedItems {
    pub mapping: MappingKey,
    /// The author's text of the mapping.
    pub base: TextHash,
    /// The version that was in use.
    pub version: i32,
    pub at: StepRef,
    /// The path of the definition.
    pub path: String,
    /// For people.
    pub reason: String,
    /// Lists in the answer that may be the items.
    pub lists: Vec<MovedList>,
    pub noticed_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedList {
    pub path: String,
    /// The first of its items, as JSON texts.
    pub items: Vec<String>,
}

impl MappingVersion {
    pub fn key(&self) -> String {
        format!("{}@{}", self.mapping, self.version)
    }
}

/// Key `<mapping>#<base>` of `state.mappings`: which version is used for definitions with this text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingActive {
    pub mapping: MappingKey,
    /// The author's text; a definition with another text uses its own.
    pub base: TextHash,
    /// 1 is the author's text.
    pub version: i32,
    pub changed_at: i64,
    pub changed_by: String,
    /// Id of the command that it came of.
    pub command: Option<String>,
    /// The version that was used before; 0: not known.
    pub before: i32,
    /// Until then it is rolled back by itself if its outputs cannot be what was meant.
    pub watched_until: i64,
}

impl MappingActive {
    pub fn key(&self) -> String {
        format!("{}#{}", self.mapping, self.base)
    }
}

/// Key `<mapping>#<base>#drift-<version>` of `state.mappings`: outputs of this version are valid, and do not look as they
/// used to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingDrift {
    pub mapping: MappingKey,
    pub base: TextHash,
    /// The version that gives them; what another one gives is not meant.
    pub version: i32,
    /// In words, one for each field.
    pub found: Vec<String>,
    /// When the first of the outputs was taken that showed it, at the earliest.
    pub since: i64,
    pub noticed_at: i64,
}

impl MappingDrift {
    pub fn key(&self) -> String {
        format!("{}#{}#drift-{}", self.mapping, self.base, self.version)
    }
}

/// Key `<mapping>/<base>/<place>` of `state.samples`: how outputs looked for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingProfile {
    pub mapping: MappingKey,
    pub base: TextHash,
    /// `recent-0`, `hour-13`, `weekday-5`, or `noticed`: a drift was seen in it.
    pub place: String,
    /// JSON text.
    pub portion: String,
}

impl MappingProfile {
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.mapping, self.base, self.place)
    }
}

/// Key `<mapping>/<slot>` of `state.samples`: an item that was mapped and is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingSample {
    pub mapping: MappingKey,
    pub base: TextHash,
    /// Version of the mapping that made the output.
    pub version: i32,
    pub slot: i32,
    /// JSON text.
    pub input: String,
    pub output: String,
    /// Items that the mapping served well in the same process since its last sample or parked batch.
    pub valid: i32,
    /// `park`, `warn` or `off`: what the step wants done when outputs do not look as they used to.
    pub silent_drift: String,
    /// More outputs of the same batch. They are looked at and not kept.
    pub others: Vec<String>,
    pub taken_at: i64,
}

impl MappingSample {
    pub fn key(&self) -> String {
        format!("{}/{}", self.mapping, self.slot)
    }
}
