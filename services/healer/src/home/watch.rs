//! A version that came into use is watched for a while: a mapping that gives valid outputs may still be wrong.
//!
//! Invariants: what a watched version has driven stays parked until the watch is over, so that it can be driven again; the
//! guard looks at the outputs of a drive before any of them is written; a version that a person insists on is not watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use prunella_model::{MappingKey, TextHash};
use prunella_platform::OnFailure;
use prunella_repair::{Jump, OutputProfile, jumps};
use prunella_stream::chaos::Point;
use prunella_stream::{OutRecord, StageError};
use prunella_telemetry::emit;
use prunella_wire::records::{MappingActive, MappingSample, MappingVersion, ParkedBatch};

use super::{HEALER, Kept, MappingHome};
use crate::drive::{Driven, Rest, drive};
use crate::events::RolledBack;

/// Fewer items than these say nothing about a version.
const FEWEST: u64 = 5;

/// What a watched version has given so far, as far as this process has seen it.
#[derive(Default)]
pub(super) struct Watch {
    version: i32,
    profile: OutputProfile,
    valid: u64,
    failed: u64,
    /// Items that it has mapped well. They are remembered once the watch is over.
    samples: BTreeMap<i32, MappingSample>,
}

impl Watch {
    /// Of this version, whatever was watched before.
    fn of(&mut self, version: i32) -> &mut Self {
        if self.version != version {
            *self = Self { version, ..Self::default() };
        }
        self
    }
}

impl Kept {
    /// The version that is used for this text and watched at this moment.
    pub(super) fn watched(&self, base: &TextHash, now: i64) -> Option<MappingActive> {
        let active = self.history.active.get(base)?;
        (active.watched_until > now && active.before != 0 && active.before != active.version).then(|| active.clone())
    }

    /// Items that a version has mapped well since others began to fail, and not only because they were on their way then.
    pub(super) fn still_well(&self, base: &TextHash, version: i32, on_the_way: i64) -> Vec<MappingSample> {
        let failing = self.waiting.batches.values().filter(|batch| batch.base == *base);
        let Some(since) = failing.map(|batch| batch.parked_at).min() else { return Vec::new() };
        let is_meant = |sample: &&MappingSample| {
            sample.base == *base && sample.version == version && sample.taken_at > since + on_the_way
        };
        self.samples.values().chain(self.watch.samples.values()).filter(is_meant).cloned().collect()
    }

    /// Samples to repair `parent` by. What it gave while it was watched counts as well: a source that changed once may
    /// change again before the watch is over.
    pub(super) fn remembered(&self, base: &TextHash, parent: i32) -> Vec<MappingSample> {
        let watched = self.watch.samples.values().filter(|sample| sample.version == parent);
        let is_right = |sample: &&MappingSample| {
            let made_by = self.history.versions.get(&sample.version).map(|version| version.status.as_str());
            sample.base == *base && !matches!(made_by, Some("rejected" | "rolled-back"))
        };
        self.samples.values().chain(watched).filter(is_right).cloned().collect()
    }

    /// Why the version cannot be what was meant, if it cannot.
    fn alarm(&self, active: &MappingActive) -> Option<String> {
        let watch = &self.watch;
        if watch.valid + watch.failed >= FEWEST && watch.failed > watch.valid {
            return Some(format!("{} of {} items give no valid output", watch.failed, watch.valid + watch.failed));
        }
        let is_good = |sample: &&MappingSample| {
            let made_by = self.history.versions.get(&sample.version).map(|version| version.status.as_str());
            sample.base == active.base
                && sample.version != active.version
                && !matches!(made_by, Some("rejected" | "rolled-back"))
        };
        let outputs: Vec<Value> = self
            .samples
            .values()
            .filter(is_good)
            .filter_map(|sample| serde_json::from_str(&sample.output).ok())
            .collect();
        let told = self.history.versions.get(&active.version).map(|version| told_jumps(version)).unwrap_or_default();
        let found = jumps(&OutputProfile::of(&outputs), &watch.profile);
        let found: Vec<String> = found.iter().filter(|jump| !told.contains(&jump.field)).map(Jump::in_words).collect();
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// Jumps that were told when the version was proposed: whoever approved it knew of them.
pub(super) fn told_jumps(version: &MappingVersion) -> BTreeSet<String> {
    let evidence: Value = serde_json::from_str(&version.evidence).unwrap_or_default();
    let jumps = evidence["jumps"].as_array().into_iter().flatten();
    jumps.filter_map(|jump| jump["field"].as_str().map(str::to_owned)).collect()
}

impl MappingHome {
    /// Drives batches with a version that is watched; when its outputs cannot be what was meant, nothing of them is written.
    pub(super) async fn drive_watched(
        &mut self,
        mapping: &MappingKey,
        active: &MappingActive,
        keys: Vec<String>,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mut all: Vec<(ParkedBatch, Driven)> = Vec::with_capacity(keys.len());
        for key in keys {
            let kept = self.kept(mapping);
            let Some(batch) = kept.waiting.batches.get(&key).cloned() else { continue };
            let healed = kept.history.healed(&batch.base).cloned();
            let drift = kept.history.drift(&batch.base).cloned();
            let driven = drive(&self.workshop, &batch, healed.as_deref(), drift.as_deref(), OnFailure::Park, true);
            let driven = Box::pin(driven).await?;
            all.push((batch, driven));
        }
        let kept = self.kept(mapping);
        let watch = kept.watch.of(active.version);
        for (batch, driven) in &all {
            let valid = driven.outputs.len() as u64;
            watch.valid += valid;
            watch.failed += (batch.work.items.len() as u64).saturating_sub(valid);
            driven.outputs.iter().for_each(|output| watch.profile.observe(output));
        }
        if let Some(reason) = kept.alarm(active) {
            return self.roll_back(mapping, active, &reason, now);
        }
        let mut records = Vec::new();
        self.reached = Some(Point::Driven);
        for (batch, driven) in all {
            records.extend(self.driven_watched(mapping, active, batch, driven, now)?);
        }
        Ok(records)
    }

    /// What a batch came to goes out; the batch itself stays until the watch is over.
    fn driven_watched(
        &mut self,
        mapping: &MappingKey,
        active: &MappingActive,
        batch: ParkedBatch,
        driven: Driven,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        if let Rest::Parked(_) = driven.rest {
            return self.driven(mapping, &batch, driven, now, false);
        }
        let stays = ParkedBatch { driven_with: active.version, ..batch.clone() };
        let record = self.writer.parked(&stays.key(), &stays)?;
        let tombstone = self.writer.unparked(&stays.key());
        let mut records = self.driven(mapping, &batch, driven, now, false)?;
        records.retain(|written| written.topic != tombstone.topic || written.key != tombstone.key);
        records.push(record);
        self.kept(mapping).driven.insert(stays.key(), stays);
        Ok(records)
    }

    /// An item that a watched version has given is looked at, and not remembered: whether it is right is not known yet.
    pub(super) fn observe(
        &mut self,
        sample: &MappingSample,
        active: &MappingActive,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let kept = self.kept(&sample.mapping);
        kept.waiting.went_well(sample.version, sample.valid);
        let watch = kept.watch.of(active.version);
        if let Ok(output) = serde_json::from_str::<Value>(&sample.output) {
            watch.valid += 1;
            watch.profile.observe(&output);
            watch.samples.insert(sample.slot, MappingSample { others: Vec::new(), ..sample.clone() });
        }
        match kept.alarm(active) {
            Some(reason) => self.roll_back(&sample.mapping, active, &reason, now),
            None => Ok(Vec::new()),
        }
    }

    fn roll_back(
        &mut self,
        mapping: &MappingKey,
        active: &MappingActive,
        reason: &str,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        emit(RolledBack { mapping, version: active.version, to: active.before, reason });
        let mut records = self.point_to(mapping, &active.base, active.before, HEALER, active.command.clone(), now)?;
        let kept = self.kept(mapping);
        if let Some(wrong) = kept.history.versions.get(&active.version).cloned() {
            let mut evidence: Value = serde_json::from_str(&wrong.evidence).unwrap_or_else(|_| json!({}));
            evidence["rolled_back"] = json!({ "reason": reason, "at": now });
            let wrong = MappingVersion {
                status: "rolled-back".to_owned(),
                evidence: evidence.to_string(),
                changed_at: now,
                ..wrong.as_ref().clone()
            };
            records.push(self.writer.version(&wrong)?);
            self.kept(mapping).history.versions.insert(wrong.version, Arc::new(wrong));
        }
        records.extend(self.in_use(mapping, active.before, now)?);
        records.push(self.writer.audit(
            (HEALER, "mapping-rolled-back", reason.to_owned()),
            mapping,
            active.version,
            now,
        )?);
        records.extend(self.wait_again(mapping, active.version, now)?);
        let waiting = &mut self.kept(mapping).waiting;
        waiting.version_changed();
        waiting.try_at(now);
        Ok(records)
    }

    /// What the version has driven waits again.
    pub(super) fn wait_again(
        &mut self,
        mapping: &MappingKey,
        version: i32,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let writer = self.writer.clone();
        let kept = self.kept(mapping);
        let mut records = Vec::new();
        for batch in std::mem::take(&mut kept.driven).into_values().filter(|batch| batch.driven_with == version) {
            let waits = ParkedBatch { driven_with: 0, ..batch };
            records.push(writer.parked(&waits.key(), &waits)?);
            kept.waiting.park(waits, now, &workshop.deps.settings);
        }
        Ok(records)
    }

    /// The watch is over: what was driven need not be kept any longer, and what was seen meanwhile is remembered.
    pub(super) fn let_go(&mut self, mapping: &MappingKey, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let mut records = self.remember_watched(mapping, now)?;
        let writer = self.writer.clone();
        let kept = self.kept(mapping);
        let is_watched = |batch: &ParkedBatch| {
            kept.history
                .active
                .get(&batch.base)
                .is_some_and(|active| active.watched_until > now && active.version == batch.driven_with)
        };
        let (stays, goes): (Vec<_>, Vec<_>) =
            std::mem::take(&mut kept.driven).into_iter().partition(|(_, batch)| is_watched(batch));
        kept.driven = stays.into_iter().collect();
        records.extend(goes.iter().map(|(key, _)| writer.unparked(key)));
        Ok(records)
    }

    /// Remembers the items that the version in use has mapped well while it was watched.
    pub(super) fn remember_watched(&mut self, mapping: &MappingKey, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let writer = self.writer.clone();
        let kept = self.kept(mapping);
        let is_over = |sample: &MappingSample| {
            let active = kept.history.active.get(&sample.base);
            active.is_some_and(|active| active.version == sample.version && active.watched_until <= now)
        };
        if !kept.watch.samples.values().next().is_some_and(is_over) {
            return Ok(Vec::new());
        }
        let seen = std::mem::take(&mut kept.watch.samples);
        let records = seen.values().map(|sample| writer.sample(sample)).collect();
        kept.samples.extend(seen);
        records
    }
}
