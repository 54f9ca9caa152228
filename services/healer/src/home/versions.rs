//! Versions of a mapping: what an attempt came to, which version is used.

use std::sync::Arc;

use prunella_model::workflow::Heal;
use prunella_model::{Code, MappingKey, TextHash};
use prunella_platform::StepWork;
use prunella_stream::chaos::Point;
use prunella_stream::{OutRecord, StageError};
use prunella_telemetry::emit;
use prunella_wire::records::{HealOutcome, MappingActive, MappingConsultation, MappingVersion};

use super::consulting::current;
use super::watch::Watch;
use super::{HEALER, MappingHome};
use crate::events::{AttemptEnded, Proposed, VersionActivated};

impl MappingHome {
    pub(super) async fn outcome(&mut self, outcome: HealOutcome, now: i64) -> Result<Vec<OutRecord>, StageError> {
        emit(AttemptEnded { mapping: &outcome.mapping, verdict: &outcome.verdict, parent: outcome.parent });
        let mut records = self.judged(&outcome, now)?;
        records.extend(self.weighed(outcome, now).await?);
        Ok(records)
    }

    /// Keeps what became of proposals of a model. When none could be used, the model may be asked again.
    fn judged(&mut self, outcome: &HealOutcome, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let Some(known) = current(&self.kept(&outcome.mapping).history, &outcome.base) else { return Ok(Vec::new()) };
        if outcome.tried.is_empty() {
            return Ok(Vec::new());
        }
        self.keep(MappingConsultation { tried: outcome.tried.clone(), ..known }, now)
    }

    /// Uses or proposes what an attempt has found.
    async fn weighed(&mut self, outcome: HealOutcome, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let settings = &workshop.deps.settings;
        let search = outcome.moved.as_ref().and_then(|_| self.kept(&outcome.mapping).search.take());
        let at = search.map(|search| search.at).or_else(|| self.step_of(&outcome.mapping, &outcome.base));
        let Some(at) = at else {
            self.kept(&outcome.mapping).waiting.attempt_ended(now, settings);
            return Ok(Vec::new());
        };
        let policy = StepWork::find(workshop.deps.platform(), &at).await?.step().healing.as_ref().map(|it| it.policy);
        let kept = self.kept(&outcome.mapping);
        if !outcome.asks_model {
            kept.waiting.attempt_ended(now, settings);
        }
        if !outcome.tried.is_empty() && outcome.verdict == "refuse" {
            kept.waiting.try_at(now);
        }
        if kept.history.active_version(&outcome.base) != outcome.parent {
            kept.waiting.version_changed();
            return Ok(Vec::new());
        }
        let Some(text) = outcome.text.clone() else { return Ok(Vec::new()) };
        let is_in_use = match kept.history.healed(&outcome.base) {
            Some(version) => version.text == text,
            None => TextHash::of(&text) == outcome.base,
        };
        // Nothing better was found for outputs that do not look as they used to.
        if is_in_use && outcome.moved.is_none() {
            return Ok(Vec::new());
        }
        let is_proven = outcome.verdict == "activate";
        let may_be_used = is_proven && policy == Some(Heal::Auto);
        let parent = kept.history.healed(&outcome.base);
        let moved = outcome.moved.clone().or_else(|| parent.and_then(|parent| parent.moved.clone()));
        let is_known =
            |known: &&Arc<MappingVersion>| known.base == outcome.base && known.text == text && known.moved == moved;
        let known = kept.history.versions.values().find(is_known);
        if let Some(known) = known.cloned() {
            // A proposal that more records have proven meanwhile. What a person has decided stays decided.
            if may_be_used && known.status == "candidate" {
                let proven = MappingVersion { evidence: outcome.evidence, ..known.as_ref().clone() };
                return self.activate(proven, HEALER, None, now);
            }
            return Ok(Vec::new());
        }
        let is_drift = outcome.moved.is_some() || kept.waiting.is_drift(settings);
        let may_be_proposed = is_proven || (outcome.verdict == "review" && is_drift);
        if !may_be_proposed {
            return Ok(Vec::new());
        }
        let version = MappingVersion {
            mapping: outcome.mapping.clone(),
            version: kept.history.next_version(),
            parent: outcome.parent,
            base: outcome.base,
            text,
            origin: outcome.origin,
            status: "candidate".to_owned(),
            evidence: outcome.evidence,
            actor: HEALER.to_owned(),
            created_at: now,
            changed_at: now,
            moved,
        };
        if may_be_used {
            return self.activate(version, HEALER, None, now);
        }
        emit(Proposed { mapping: &version.mapping, version: version.version });
        let detail = format!("{} from version {}", version.origin, version.parent);
        let audit = self.writer.audit((HEALER, "mapping-proposed", detail), &version.mapping, version.version, now)?;
        let record = self.writer.version(&version)?;
        self.kept(&outcome.mapping).history.versions.insert(version.version, Arc::new(version));
        Ok(vec![record, audit])
    }

    /// Uses `version` from now on; what waits is driven.
    pub(super) fn activate(
        &mut self,
        version: MappingVersion,
        actor: &str,
        command: Option<String>,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mapping = version.mapping.clone();
        let base = version.base.clone();
        // Whoever approves what was rolled back insists on it.
        let insists = version.status == "rolled-back";
        let active =
            MappingVersion { status: "active".to_owned(), actor: actor.to_owned(), changed_at: now, ..version };
        let detail = format!("{} from version {}", active.origin, active.parent);
        let mut records = self.point_to(&mapping, &base, active.version, actor, command, now)?;
        if insists {
            records.extend(self.forget_habit(&mapping, &base));
        } else {
            records.push(self.watch(&mapping, &base, now)?);
        }
        records.push(self.writer.version(&active)?);
        records.push(self.writer.audit((actor, "mapping-activated", detail), &mapping, active.version, now)?);
        let kept = self.kept(&mapping);
        let waiting = kept.waiting.batches.len();
        emit(VersionActivated { mapping: &mapping, version: active.version, actor, waiting });
        kept.history.versions.insert(active.version, Arc::new(active));
        kept.waiting.version_changed();
        self.reached = Some(Point::Published);
        Ok(records)
    }

    /// Watches the version that came into use.
    fn watch(&mut self, mapping: &MappingKey, base: &TextHash, now: i64) -> Result<OutRecord, StageError> {
        let until = now.saturating_add(self.settings().watch.millis());
        let writer = self.writer.clone();
        let kept = self.kept(mapping);
        kept.watch = Watch::default();
        let Some(active) = kept.history.active.get_mut(base) else {
            return Err(StageError::new(Code::MappingUnknown, format!("{mapping} has no version in use")));
        };
        active.watched_until = until;
        writer.active(active)
    }

    /// Marks a version as the one that is used; the author's text has no record of its own.
    pub(super) fn in_use(
        &mut self,
        mapping: &MappingKey,
        version: i32,
        now: i64,
    ) -> Result<Option<OutRecord>, StageError> {
        let Some(known) = self.kept(mapping).history.versions.get(&version).cloned() else { return Ok(None) };
        let active = MappingVersion { status: "active".to_owned(), changed_at: now, ..known.as_ref().clone() };
        let record = self.writer.version(&active)?;
        self.kept(mapping).history.versions.insert(version, Arc::new(active));
        Ok(Some(record))
    }

    /// Moves the active pointer, and retires the version it pointed to.
    pub(super) fn point_to(
        &mut self,
        mapping: &MappingKey,
        base: &TextHash,
        version: i32,
        actor: &str,
        command: Option<String>,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mut records = Vec::new();
        let writer = self.writer.clone();
        let kept = self.kept(mapping);
        if let Some(before) = kept.history.healed(base).filter(|before| before.version != version) {
            let retired = MappingVersion { status: "retired".to_owned(), changed_at: now, ..before.as_ref().clone() };
            records.push(writer.version(&retired)?);
            kept.history.versions.insert(retired.version, Arc::new(retired));
        }
        let active = MappingActive {
            mapping: mapping.clone(),
            base: base.clone(),
            version,
            changed_at: now,
            changed_by: actor.to_owned(),
            command,
            before: kept.history.active_version(base),
            watched_until: 0,
        };
        records.push(writer.active(&active)?);
        kept.history.active.insert(base.clone(), active);
        kept.noticing(base).begin_anew();
        Ok(records)
    }
}
