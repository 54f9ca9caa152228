//! The mappings of one home partition, as their changelogs restore them and commands change them.

mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use prunella_catalog::{AUTHORS_VERSION, MappingHistory, mapping_of};
use prunella_mapping::Expression;
use prunella_model::workflow::Heal;
use prunella_model::{MappingKey, TextHash};
use prunella_platform::{OnFailure, StepWork};
use prunella_stream::homes::{Effects, Home, HomeSite};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::{emit, metrics};
use prunella_wire::Payload;
use prunella_wire::records::{
    HealOutcome, MappingActive, MappingCommand, MappingSample, MappingVersion, ParkedBatch, StepRef,
};

use crate::attempt::Attempt;
use crate::drive::{Driven, Rest, drive};
use crate::events::{AttemptEnded, BatchDriven, Proposed, VersionActivated};
use crate::records::RecordWriter;
use crate::service::{MAPPINGS, PARKED, SAMPLES, Workshop};
use crate::settings::HealingSettings;
use waiting::{Next, Waiting};

/// Who changes a mapping without being asked.
const HEALER: &str = "healer";
/// Before something that could not be done is tried again, in milliseconds.
const PAUSE: i64 = 5_000;

/// Commands of `stage.heal`.
pub(crate) enum Command {
    Park(Box<ParkedBatch>),
    Remember(MappingSample),
    Outcome(HealOutcome),
    Asked(MappingCommand),
}

impl Command {
    pub(crate) fn mapping(&self) -> &MappingKey {
        match self {
            Self::Park(batch) => &batch.mapping,
            Self::Remember(sample) => &sample.mapping,
            Self::Outcome(outcome) => &outcome.mapping,
            Self::Asked(command) => &command.mapping,
        }
    }
}

/// All that is kept of one mapping.
#[derive(Default)]
struct Kept {
    history: MappingHistory,
    samples: BTreeMap<i32, MappingSample>,
    waiting: Waiting,
    /// Nothing is done before this moment: something it needs was away.
    paused_until: i64,
}

pub(crate) struct MappingHome {
    site: HomeSite,
    workshop: Arc<Workshop>,
    writer: RecordWriter,
    mappings: HashMap<MappingKey, Kept>,
    clock: i64,
}

impl MappingHome {
    pub(crate) fn new(site: HomeSite, workshop: Arc<Workshop>) -> Self {
        let writer = RecordWriter::new(workshop.deps.platform().clone(), site.partition);
        Self { site, workshop, writer, mappings: HashMap::new(), clock: 0 }
    }

    fn settings(&self) -> &HealingSettings {
        &self.workshop.deps.settings
    }

    fn kept(&mut self, mapping: &MappingKey) -> &mut Kept {
        self.mappings.entry(mapping.clone()).or_default()
    }

    async fn park(&mut self, batch: ParkedBatch, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let held: u64 = self.mappings.values().map(|kept| kept.waiting.bytes()).sum();
        if held > self.settings().max_parked_bytes.bytes() {
            // There is no room to wait in: what cannot be mapped now becomes a dead letter.
            let healed = self.kept(&batch.mapping).history.healed(&batch.base).cloned();
            let driven = Box::pin(drive(&self.workshop, &batch, healed.as_deref(), OnFailure::DeadLetter)).await?;
            return self.driven(&batch.mapping.clone(), &batch, driven, now, true);
        }
        let record = self.writer.parked(&batch.key(), &batch)?;
        let workshop = self.workshop.clone();
        let mapping = batch.mapping.clone();
        if !self.kept(&mapping).waiting.batches.contains_key(&batch.key()) {
            metrics::PARKED_BATCHES.inc();
        }
        self.kept(&mapping).waiting.park(batch, now, &workshop.deps.settings);
        Ok(vec![record])
    }

    fn remember(&mut self, sample: MappingSample) -> Result<Vec<OutRecord>, StageError> {
        let record = self.writer.sample(&sample)?;
        let kept = self.kept(&sample.mapping);
        kept.waiting.went_well(sample.version, sample.valid);
        kept.samples.insert(sample.slot, sample);
        Ok(vec![record])
    }

    async fn outcome(&mut self, outcome: HealOutcome, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let settings = &workshop.deps.settings;
        emit(AttemptEnded { mapping: &outcome.mapping, verdict: &outcome.verdict, parent: outcome.parent });
        let Some(at) = self.step_of(&outcome.mapping, &outcome.base) else {
            self.kept(&outcome.mapping).waiting.attempt_ended(now, settings);
            return Ok(Vec::new());
        };
        let policy = StepWork::find(workshop.deps.platform(), &at).await?.step().healing.as_ref().map(|it| it.policy);
        let kept = self.kept(&outcome.mapping);
        kept.waiting.attempt_ended(now, settings);
        if kept.history.active_version(&outcome.base) != outcome.parent {
            kept.waiting.version_changed();
            return Ok(Vec::new());
        }
        let Some(text) = outcome.text.clone() else { return Ok(Vec::new()) };
        let is_proven = outcome.verdict == "activate";
        let may_be_used = is_proven && policy == Some(Heal::Auto);
        let known = kept.history.versions.values().find(|known| known.base == outcome.base && known.text == text);
        if let Some(known) = known.cloned() {
            // A proposal that more records have proven meanwhile. What a person has decided stays decided.
            if may_be_used && known.status == "candidate" {
                let proven = MappingVersion { evidence: outcome.evidence, ..known.as_ref().clone() };
                return self.activate(proven, HEALER, None, now);
            }
            return Ok(Vec::new());
        }
        let may_be_proposed = is_proven || (outcome.verdict == "review" && kept.waiting.is_drift(settings));
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
        };
        if may_be_used {
            return self.activate(version, HEALER, None, now);
        }
        emit(Proposed { mapping: &version.mapping, version: version.version });
        let detail = format!("repaired from version {}", version.parent);
        let audit = self.writer.audit((HEALER, "mapping-proposed", detail), &version.mapping, version.version, now)?;
        let record = self.writer.version(&version)?;
        self.kept(&outcome.mapping).history.versions.insert(version.version, Arc::new(version));
        Ok(vec![record, audit])
    }

    /// Uses `version` from now on; what waits is driven.
    fn activate(
        &mut self,
        version: MappingVersion,
        actor: &str,
        command: Option<String>,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mapping = version.mapping.clone();
        let base = version.base.clone();
        let active =
            MappingVersion { status: "active".to_owned(), actor: actor.to_owned(), changed_at: now, ..version };
        let detail = format!("{} from version {}", active.origin, active.parent);
        let mut records = self.point_to(&mapping, &base, active.version, actor, command, now)?;
        records.push(self.writer.version(&active)?);
        records.push(self.writer.audit((actor, "mapping-activated", detail), &mapping, active.version, now)?);
        let kept = self.kept(&mapping);
        let waiting = kept.waiting.batches.len();
        emit(VersionActivated { mapping: &mapping, version: active.version, actor, waiting });
        kept.history.versions.insert(active.version, Arc::new(active));
        kept.waiting.version_changed();
        Ok(records)
    }

    /// Moves the active pointer, and retires the version it pointed to.
    fn point_to(
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
        };
        records.push(writer.active(&active)?);
        kept.history.active.insert(base.clone(), active);
        Ok(records)
    }

    fn asked(&mut self, command: MappingCommand, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let MappingCommand { mapping, id, version, actor, reason, text, .. } = command.clone();
        let known = self.kept(&mapping).history.versions.get(&version).cloned();
        match (command.command.as_str(), known) {
            ("approve", Some(candidate)) if candidate.status == "candidate" => {
                self.activate(candidate.as_ref().clone(), &actor, Some(id), now)
            }
            ("reject", Some(candidate)) if candidate.status == "candidate" => {
                let rejected = MappingVersion {
                    status: "rejected".to_owned(),
                    actor: actor.clone(),
                    changed_at: now,
                    ..candidate.as_ref().clone()
                };
                let record = self.writer.version(&rejected)?;
                let audit = self.writer.audit((&actor, "mapping-rejected", reason), &mapping, version, now)?;
                let kept = self.kept(&mapping);
                kept.history.versions.insert(version, Arc::new(rejected));
                kept.waiting.give_up();
                Ok(vec![record, audit])
            }
            ("rollback", known) => {
                let base = match known {
                    Some(known) => Some(known.base.clone()),
                    // The author's text has no record of its own: it is what the newest version descends from.
                    None if version == AUTHORS_VERSION => {
                        self.kept(&mapping).history.versions.values().next_back().map(|newest| newest.base.clone())
                    }
                    None => None,
                };
                let Some(base) = base else { return Ok(Vec::new()) };
                let mut records = self.point_to(&mapping, &base, version, &actor, Some(id), now)?;
                if let Some(known) = self.kept(&mapping).history.versions.get(&version).cloned() {
                    let active =
                        MappingVersion { status: "active".to_owned(), changed_at: now, ..known.as_ref().clone() };
                    records.push(self.writer.version(&active)?);
                    self.kept(&mapping).history.versions.insert(version, Arc::new(active));
                }
                records.push(self.writer.audit((&actor, "mapping-rolled-back", reason), &mapping, version, now)?);
                self.kept(&mapping).waiting.version_changed();
                Ok(records)
            }
            ("edit", _) => {
                let Some(text) = text.filter(|text| Expression::compile(text).is_ok()) else { return Ok(Vec::new()) };
                let kept = self.kept(&mapping);
                let newest = kept.history.versions.values().next_back().map(|newest| newest.base.clone());
                let waiting = kept.waiting.batches.last().map(|(_, batch)| batch.base.clone());
                let Some(base) = waiting.or(newest) else { return Ok(Vec::new()) };
                let version = MappingVersion {
                    version: kept.history.next_version(),
                    parent: kept.history.active_version(&base),
                    mapping,
                    base,
                    text,
                    origin: "human".to_owned(),
                    status: "candidate".to_owned(),
                    evidence: serde_json::json!({ "summary": reason }).to_string(),
                    actor: actor.clone(),
                    created_at: now,
                    changed_at: now,
                };
                self.activate(version, &actor, Some(id), now)
            }
            ("heal", _) => {
                self.kept(&mapping).waiting.try_again(now);
                Ok(Vec::new())
            }
            // Decided before, or never known: the view shows how it stands.
            _ => Ok(Vec::new()),
        }
    }

    /// A step attempt whose definition has this text of the author.
    fn step_of(&mut self, mapping: &MappingKey, base: &TextHash) -> Option<StepRef> {
        let batches = &self.kept(mapping).waiting.batches;
        batches.values().rev().find(|batch| batch.base == *base).map(|batch| batch.work.at.clone())
    }

    /// Begins an attempt in the background; its outcome comes as a command.
    fn attempt(&mut self, mapping: &MappingKey, base: &TextHash) {
        let Some(at) = self.step_of(mapping, base) else { return };
        let sample_items = self.settings().sample_items;
        let kept = self.kept(mapping);
        let parent = kept.history.active_version(base);
        let failed = kept.waiting.batches.values().filter(|batch| batch.base == *base);
        let items: Vec<Payload> = failed.flat_map(|batch| &batch.work.items).map(|item| item.input.clone()).collect();
        let rejected: Vec<i32> = kept
            .history
            .versions
            .values()
            .filter(|version| version.status == "rejected")
            .map(|it| it.version)
            .collect();
        let attempt = Attempt {
            mapping: mapping.clone(),
            base: base.clone(),
            parent,
            text: kept.history.healed(base).map(|version| version.text.clone()),
            at,
            failing: spread(items, sample_items),
            remembered: kept
                .samples
                .values()
                .filter(|sample| sample.base == *base && !rejected.contains(&sample.version))
                .cloned()
                .collect(),
        };
        kept.waiting.attempt_begins();
        let (site, workshop, writer) = (self.site.clone(), self.workshop.clone(), self.writer.clone());
        self.site.spawn(async move {
            let outcome = tokio::select! {
                outcome = attempt.run(&workshop) => outcome,
                () = site.revoked.cancelled() => return,
            };
            match writer.outcome(&outcome) {
                // A home that was revoked restores what waits, and its next owner attempts it.
                Ok(record) => drop(site.emit(vec![record]).await),
                Err(error) => tracing::error!(%error, "the outcome of an attempt could not be written"),
            }
        });
    }

    async fn drive_all(
        &mut self,
        mapping: &MappingKey,
        keys: Vec<String>,
        on_failure: OnFailure,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mut records = Vec::new();
        for key in keys {
            let kept = self.kept(mapping);
            let Some(batch) = kept.waiting.batches.get(&key).cloned() else { continue };
            let healed = kept.history.healed(&batch.base).cloned();
            let driven = Box::pin(drive(&self.workshop, &batch, healed.as_deref(), on_failure)).await?;
            records.extend(self.driven(mapping, &batch, driven, now, on_failure == OnFailure::DeadLetter)?);
        }
        Ok(records)
    }

    /// What a driven batch came to, and what is left of it.
    fn driven(
        &mut self,
        mapping: &MappingKey,
        batch: &ParkedBatch,
        driven: Driven,
        now: i64,
        given_up: bool,
    ) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let key = batch.key();
        let Driven { mut records, rest } = driven;
        match rest {
            Rest::Result(result) => {
                emit(BatchDriven { mapping, healed: result.valid - batch.result.valid, given_up });
                records.push(self.writer.result(&result)?);
                records.push(self.writer.unparked(&key));
                let waiting = &mut self.kept(mapping).waiting;
                if waiting.batches.contains_key(&key) {
                    metrics::PARKED_BATCHES.dec();
                }
                waiting.remove(&key);
            }
            Rest::Parked(rest) => {
                emit(BatchDriven { mapping, healed: rest.result.valid - batch.result.valid, given_up });
                records.push(self.writer.parked(&key, &rest)?);
                self.kept(mapping).waiting.replace(*rest, now, &workshop.deps.settings);
            }
        }
        Ok(records)
    }

    /// Does what is due for one mapping.
    async fn look_after(&mut self, mapping: &MappingKey, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let workshop = self.workshop.clone();
        let kept = self.kept(mapping);
        match kept.waiting.next(&kept.history, now, &workshop.deps.settings) {
            Next::Nothing => Ok(Vec::new()),
            Next::Drive(keys) => self.drive_all(mapping, keys, OnFailure::Park, now).await,
            Next::GiveUp(keys) => self.drive_all(mapping, keys, OnFailure::DeadLetter, now).await,
            Next::Attempt(base) => {
                self.attempt(mapping, &base);
                Ok(Vec::new())
            }
        }
    }

    fn due(&self, kept: &Kept) -> Option<i64> {
        kept.waiting.due(self.clock, self.settings()).map(|due| due.max(kept.paused_until))
    }
}

/// At most `count` of `items`, from all over.
fn spread(items: Vec<Payload>, count: usize) -> Vec<Payload> {
    let step = items.len().div_ceil(count.max(1)).max(1);
    items.into_iter().step_by(step).collect()
}

impl Drop for MappingHome {
    fn drop(&mut self) {
        let batches: usize = self.mappings.values().map(|kept| kept.waiting.batches.len()).sum();
        metrics::PARKED_BATCHES.sub(i64::try_from(batches).unwrap_or(i64::MAX));
    }
}

impl Home for MappingHome {
    type Command = Command;

    async fn apply(&mut self, topic: usize, key: &Bytes, value: Option<Bytes>) -> Result<(), String> {
        let key = std::str::from_utf8(key).map_err(|_| "the key is not text".to_owned())?;
        let codec = self.workshop.deps.platform().codec.clone();
        let unreadable = |error: prunella_wire::WireError| error.to_string();
        match (topic, value) {
            (MAPPINGS, value) => {
                let mapping = mapping_of(key).ok_or("the key names no mapping")?;
                self.kept(&mapping).history.apply(&codec, key, value.as_deref()).await.map_err(unreadable)?;
            }
            (SAMPLES, Some(value)) => {
                let sample: MappingSample = codec.decode(&value).await.map_err(unreadable)?;
                let mapping = sample.mapping.clone();
                self.kept(&mapping).samples.insert(sample.slot, sample);
            }
            (PARKED, Some(value)) => {
                let batch: ParkedBatch = codec.decode(&value).await.map_err(unreadable)?;
                let workshop = self.workshop.clone();
                let mapping = batch.mapping.clone();
                let waiting = &mut self.kept(&mapping).waiting;
                waiting.park(batch, 0, &workshop.deps.settings);
            }
            (PARKED, None) => self.mappings.values_mut().for_each(|kept| kept.waiting.remove(key)),
            _ => self.mappings.values_mut().for_each(|kept| kept.samples.retain(|_, sample| sample.key() != key)),
        }
        Ok(())
    }

    async fn restored(&mut self, now: i64) -> Effects {
        self.clock = now;
        let batches: usize = self.mappings.values().map(|kept| kept.waiting.batches.len()).sum();
        metrics::PARKED_BATCHES.add(i64::try_from(batches).unwrap_or(i64::MAX));
        Effects::none()
    }

    async fn handle(&mut self, command: Command, _: &Record, now: i64) -> Result<Effects, StageError> {
        self.clock = now;
        let records = match command {
            Command::Park(batch) => self.park(*batch, now).await?,
            Command::Remember(sample) => self.remember(sample)?,
            Command::Outcome(outcome) => self.outcome(outcome, now).await?,
            Command::Asked(command) => self.asked(command, now)?,
        };
        Ok(Effects::of(records))
    }

    fn next_timer(&self) -> Option<i64> {
        self.mappings.values().filter_map(|kept| self.due(kept)).min()
    }

    async fn on_timer(&mut self, now: i64) -> Effects {
        self.clock = now;
        let due: Vec<MappingKey> = self
            .mappings
            .iter()
            .filter(|(_, kept)| self.due(kept).is_some_and(|due| due <= now))
            .map(|(mapping, _)| mapping.clone())
            .collect();
        let mut records = Vec::new();
        for mapping in due {
            match self.look_after(&mapping, now).await {
                Ok(written) => records.extend(written),
                Err(error) => {
                    tracing::error!(%mapping, code = error.code.id(), error = %error.message, "what waits for a mapping cannot be driven now");
                    self.kept(&mapping).paused_until = now + PAUSE;
                }
            }
        }
        Effects::of(records)
    }
}
