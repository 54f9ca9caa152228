use std::sync::Arc;

use prunella_catalog::{AUTHORS_VERSION, MappingHistory};
use prunella_mapping::{Bindings, Expression, Limits, Moment};
use prunella_model::{Code, MappingKey, TextHash};
use prunella_repair::lines_that_differ;
use prunella_wire::records::MappingVersion;
use serde_json::value::RawValue;

use super::answers::{
    DifferenceAnswer, DriftAnswer, EvalAnswer, HistoryEntry, MappingAnswer, MappingSummary, VersionAnswer,
};
use crate::error::OperateError;

/// A mapping as it stands.
#[derive(Debug, Clone)]
pub struct KnownMapping {
    pub key: MappingKey,
    pub history: MappingHistory,
    /// The author's text as new runs use it; `None` when the live definition does not have this mapping.
    pub authors: Option<String>,
}

impl KnownMapping {
    /// The author's text that counts: that of the live definition, or else the one that was changed last.
    pub(super) fn base(&self) -> Option<TextHash> {
        let live = self.authors.as_deref().map(TextHash::of);
        let last = || self.history.active.values().max_by_key(|active| active.changed_at).map(|it| it.base.clone());
        live.or_else(last)
    }

    /// The version that is used.
    pub fn in_use(&self) -> i32 {
        self.base().map_or(AUTHORS_VERSION, |base| self.history.active_version(&base))
    }

    /// When a version changed last, or a drift was noticed.
    pub fn changed_at(&self) -> Option<i64> {
        let noticed = self.history.drifting().map(|drift| drift.noticed_at);
        self.history.versions.values().map(|version| version.changed_at).chain(noticed).max()
    }

    /// Versions that wait for a decision. What was made for a version that is not used any more waits for nothing.
    fn candidates(&self) -> Vec<i32> {
        let is_open = |version: &&Arc<MappingVersion>| {
            version.status == "candidate" && self.history.active_version(&version.base) == version.parent
        };
        self.history.versions.values().filter(is_open).map(|version| version.version).collect()
    }

    pub fn summary(&self) -> MappingSummary {
        MappingSummary {
            mapping: self.key.clone(),
            workflow: self.key.workflow.clone(),
            step: self.key.step.clone(),
            active: self.in_use(),
            versions: self.history.versions.keys().copied().collect(),
            candidates: self.candidates(),
            changed_at: self.changed_at(),
            drift: self.history.drifting().map(|drift| DriftAnswer::of(drift)),
        }
    }

    /// Everything about it: the author's text, and every version with its text and evidence.
    pub fn answer(&self) -> MappingAnswer {
        MappingAnswer {
            summary: self.summary(),
            author: self.authors.clone(),
            history: self.history.versions.values().map(|version| VersionAnswer::of(version)).collect(),
        }
    }

    /// # Errors
    /// [`OperateError`] when there is no such version.
    pub fn version(&self, number: i32) -> Result<&Arc<MappingVersion>, OperateError> {
        self.history.versions.get(&number).ok_or_else(|| self.unknown(number))
    }

    /// The number and the text of a version; without a number, of the one that is used.
    fn text(&self, version: Option<i32>) -> Result<(i32, &str), OperateError> {
        let number = version.unwrap_or_else(|| self.in_use());
        let text = match number {
            AUTHORS_VERSION => self.authors.as_deref(),
            number => self.history.versions.get(&number).map(|known| known.text.as_str()),
        };
        text.map(|text| (number, text)).ok_or_else(|| self.unknown(number))
    }

    /// The text that is used instead of the author's.
    pub fn healed(&self) -> Option<(i32, &str)> {
        self.text(None).ok().filter(|(number, _)| *number != AUTHORS_VERSION)
    }

    /// The lines in which two versions differ; without `to`, from the version that is used.
    ///
    /// # Errors
    /// [`OperateError`] when there is no such version.
    pub fn difference(&self, from: i32, to: Option<i32>) -> Result<DifferenceAnswer, OperateError> {
        let (from, before) = self.text(Some(from))?;
        let (to, after) = self.text(to)?;
        Ok(DifferenceAnswer {
            mapping: self.key.clone(),
            from,
            to,
            before: before.to_owned(),
            after: after.to_owned(),
            lines: if before == after { String::new() } else { lines_that_differ(before, after) },
        })
    }

    /// What a version makes of one item, within `limits`. Takes as long as the mapping does.
    ///
    /// # Errors
    /// [`OperateError`] when there is no such version, or it cannot map the item.
    pub fn eval(&self, version: Option<i32>, item: &[u8], limits: &Limits) -> Result<EvalAnswer, OperateError> {
        let (version, text) = self.text(version)?;
        let expression = Expression::compile(text)
            .map_err(|error| OperateError::mapping(Code::WorkflowExpression, error.to_string()))?;
        let mapped = expression.map_item(item, &Bindings::new(), Moment::new(0, 0), limits);
        let mapped = mapped.map_err(|error| OperateError::mapping(error.code(), error.to_string()))?;
        let output: Box<RawValue> = serde_json::from_slice(&mapped)
            .map_err(|error| OperateError::mapping(Code::MappingEngine, error.to_string()))?;
        Ok(EvalAnswer { mapping: self.key.clone(), version, output })
    }

    /// What became of it, in order: versions, decisions of people, questions to models.
    pub fn entries(&self) -> Vec<HistoryEntry> {
        let history = &self.history;
        let made_by_hand =
            |version: i32| history.decisions.iter().any(|it| it.command == "edit" && it.version == version);
        let versions = history.versions.values();
        let made = versions.clone().filter(|it| !made_by_hand(it.version)).map(|it| HistoryEntry::made(it));
        let guarded = versions.filter_map(|version| HistoryEntry::rolled_back(version));
        let decided = history.decisions.iter().map(HistoryEntry::decided);
        let asked = history.consultations.values().map(HistoryEntry::asked);
        let mut entries: Vec<HistoryEntry> = made.chain(guarded).chain(decided).chain(asked).collect();
        entries.sort_by_key(|entry| (entry.at, entry.version));
        entries
    }

    fn unknown(&self, version: i32) -> OperateError {
        let what = if version == AUTHORS_VERSION { "the live definition has no" } else { "there is no" };
        OperateError::mapping_unknown(format!(
            "{what} version {version} of {}; version {AUTHORS_VERSION} is the text of the definition",
            self.key
        ))
    }
}
