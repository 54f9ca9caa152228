//! The mappings of one home partition, as their changelogs restore them and commands change them.

mod changelog;
mod consulting;
mod decided;
mod moved;
mod noticing;
mod sealed;
mod versions;
mod waiting;
mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;

use prunella_catalog::MappingHistory;
use prunella_model::{MappingKey, TextHash};
use prunella_platform::OnFailure;
use prunella_stream::chaos::{self, Point};
use prunella_stream::homes::{Effects, Home, HomeSite};
use prunella_stream::{OutRecord, Record, StageError};
use prunella_telemetry::{emit, metrics};
use prunella_vault::VaultError;
use prunella_wire::Payload;
use prunella_wire::records::{
    HealOutcome, MappingCommand, MappingSample, ModelAnswer, MovedItems, ParkedBatch, StepRef,
};

use crate::attempt::Attempt;
use crate::drive::{Driven, Rest, drive};
use crate::events::{BatchDriven, Locked};
use crate::records::RecordWriter;
use crate::service::{SERVICE, Workshop};
use crate::settings::HealingSettings;
use moved::Search;
use noticing::Noticing;
use waiting::{Next, Waiting};
use watch::Watch;

/// Who changes a mapping without being asked.
const HEALER: &str = "healer";
/// Before something that could not be done is tried again, in milliseconds.
const PAUSE: i64 = 5_000;

/// Different errors of items that an attempt is told.
const MOST_ERRORS: usize = 30;

/// Commands of `stage.heal`.
pub(crate) enum Command {
    Park(Box<ParkedBatch>),
    Remember(MappingSample),
    Outcome(HealOutcome),
    Answered(ModelAnswer),
    Asked(MappingCommand),
    Moved(MovedItems),
}

impl Command {
    pub(crate) fn mapping(&self) -> &MappingKey {
        match self {
            Self::Park(batch) => &batch.mapping,
            Self::Remember(sample) => &sample.mapping,
            Self::Outcome(outcome) => &outcome.mapping,
            Self::Answered(answer) => &answer.mapping,
            Self::Asked(command) => &command.mapping,
            Self::Moved(moved) => &moved.mapping,
        }
    }
}

/// All that is kept of one mapping.
#[derive(Default)]
struct Kept {
    history: MappingHistory,
    samples: BTreeMap<i32, MappingSample>,
    waiting: Waiting,
    /// Driven with a version that is watched: kept until that is over.
    driven: BTreeMap<String, ParkedBatch>,
    watch: Watch,
    /// How outputs usually look, by the author's text.
    noticing: HashMap<TextHash, Noticing>,
    /// Items that have moved are looked for.
    search: Option<Search>,
    /// Nothing is done before this moment: something it needs was away.
    paused_until: i64,
}

pub(crate) struct MappingHome {
    site: HomeSite,
    workshop: Arc<Workshop>,
    writer: RecordWriter,
    mappings: HashMap<MappingKey, Kept>,
    clock: i64,
    /// State that could not be opened, and why. Nothing is decided on half of what is known.
    locked: BTreeMap<(usize, String), VaultError>,
    /// State that is sealed with an old key, or not at all.
    stale: BTreeSet<(usize, String)>,
    /// What was come to since the last effects, for the fault suite: it is there once they are written.
    reached: Option<Point>,
}

impl MappingHome {
    pub(crate) fn new(site: HomeSite, workshop: Arc<Workshop>) -> Self {
        let writer = RecordWriter::new(workshop.deps.platform().clone(), site.partition);
        Self {
            site,
            workshop,
            writer,
            mappings: HashMap::new(),
            clock: 0,
            locked: BTreeMap::new(),
            stale: BTreeSet::new(),
            reached: None,
        }
    }

    fn settings(&self) -> &HealingSettings {
        &self.workshop.deps.settings
    }

    fn kept(&mut self, mapping: &MappingKey) -> &mut Kept {
        self.mappings.entry(mapping.clone()).or_default()
    }

    async fn park(&mut self, batch: ParkedBatch, now: i64) -> Result<Vec<OutRecord>, StageError> {
        if self.kept(&batch.mapping).driven.contains_key(&batch.key()) {
            // It came twice: the validator was killed before it knew that it had sent it.
            return Ok(Vec::new());
        }
        let held: u64 = self.mappings.values().map(|kept| kept.waiting.bytes()).sum();
        if held > self.settings().max_parked_bytes.bytes() {
            // There is no room to wait in: what cannot be mapped now becomes a dead letter.
            let driven = self.drive(&batch, OnFailure::DeadLetter).await?;
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

    fn remember(&mut self, sample: MappingSample, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let watched = self.kept(&sample.mapping).watched(&sample.base, now);
        if let Some(active) = watched.filter(|active| active.version == sample.version) {
            return self.observe(&sample, &active, now);
        }
        self.kept(&sample.mapping).waiting.went_well(sample.version, sample.valid);
        let mut records = self.remember_watched(&sample.mapping, now)?;
        records.extend(self.notice(&sample, now)?);
        let kept = self.kept(&sample.mapping);
        if kept.history.drift(&sample.base).is_none() {
            let sample = MappingSample { others: Vec::new(), ..sample };
            records.push(self.writer.sample(&sample)?);
            self.kept(&sample.mapping).samples.insert(sample.slot, sample);
        }
        Ok(records)
    }

    /// A step attempt whose definition has this text of the author.
    fn step_of(&mut self, mapping: &MappingKey, base: &TextHash) -> Option<StepRef> {
        let batches = &self.kept(mapping).waiting.batches;
        batches.values().rev().find(|batch| batch.base == *base).map(|batch| batch.work.at.clone())
    }

    /// Begins an attempt in the background; its outcome comes as a command.
    fn attempt(&mut self, mapping: &MappingKey, base: &TextHash) {
        let Some(at) = self.step_of(mapping, base) else { return };
        let settings = self.settings().clone();
        let kept = self.kept(mapping);
        let parent = kept.history.active_version(base);
        let failed = kept.waiting.batches.values().filter(|batch| batch.base == *base);
        let items: Vec<Payload> = failed.flat_map(|batch| &batch.work.items).map(|item| item.input.clone()).collect();
        let failed = kept.waiting.batches.values().filter(|batch| batch.base == *base);
        let mut errors: Vec<String> = Vec::new();
        for error in failed.flat_map(|batch| &batch.work.items).filter_map(|item| item.error.as_ref()) {
            if errors.len() < MOST_ERRORS && !errors.contains(&error.message) {
                errors.push(error.message.clone());
            }
        }
        let attempt = Attempt {
            mapping: mapping.clone(),
            base: base.clone(),
            parent,
            text: kept.history.healed(base).map(|version| version.text.clone()),
            at,
            failing: spread(items, settings.sample_items),
            errors,
            remembered: kept.remembered(base, parent),
            still: kept.still_well(base, parent, settings.gather.millis()),
            consultation: consulting::current(&kept.history, base),
            is_drift: kept.waiting.is_drift(&settings),
        };
        kept.waiting.attempt_begins();
        self.work_on(attempt);
    }

    async fn drive(&mut self, batch: &ParkedBatch, on_failure: OnFailure) -> Result<Driven, StageError> {
        let history = &self.kept(&batch.mapping).history;
        let (healed, drift) = (history.healed(&batch.base).cloned(), history.drift(&batch.base).cloned());
        Box::pin(drive(&self.workshop, batch, healed.as_deref(), drift.as_deref(), on_failure, false)).await
    }

    async fn drive_all(
        &mut self,
        mapping: &MappingKey,
        keys: Vec<String>,
        on_failure: OnFailure,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let mut records = Vec::new();
        self.reached = Some(Point::Driven);
        for key in keys {
            let kept = self.kept(mapping);
            let Some(batch) = kept.waiting.batches.get(&key).cloned() else { continue };
            let driven = self.drive(&batch, on_failure).await?;
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
        let Driven { mut records, rest, .. } = driven;
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
        let gone = self.let_go(mapping, now)?;
        if !gone.is_empty() {
            return Ok(gone);
        }
        let kept = self.kept(mapping);
        match kept.waiting.next(&kept.history, now, &workshop.deps.settings) {
            Next::Nothing => Ok(Vec::new()),
            Next::Drive(keys) => {
                let base = keys.first().and_then(|key| kept.waiting.batches.get(key)).map(|batch| batch.base.clone());
                let keys_of = |kept: &Kept, base: &TextHash| -> Vec<String> {
                    let is_of = |key: &&String| kept.waiting.batches.get(*key).is_some_and(|batch| batch.base == *base);
                    keys.iter().filter(is_of).cloned().collect()
                };
                match base.as_ref().and_then(|base| kept.watched(base, now).map(|active| (active, keys_of(kept, base))))
                {
                    Some((active, keys)) => self.drive_watched(mapping, &active, keys, now).await,
                    None => self.drive_all(mapping, keys, OnFailure::Park, now).await,
                }
            }
            Next::GiveUp(keys) => self.drive_all(mapping, keys, OnFailure::DeadLetter, now).await,
            Next::Attempt(base) => {
                self.attempt(mapping, &base);
                Ok(Vec::new())
            }
        }
    }

    fn effects(&mut self, records: Vec<OutRecord>) -> Effects {
        let reached = self.reached.take();
        let then = reached.map(|point| Box::new(move || chaos::at(SERVICE, point)) as Box<dyn FnOnce() + Send>);
        Effects { then, ..Effects::of(records) }
    }

    fn due(&self, kept: &Kept) -> Option<i64> {
        let over = kept
            .driven
            .values()
            .next()
            .map(|batch| kept.history.active.get(&batch.base).map_or(self.clock, |active| active.watched_until));
        let due = kept.waiting.due(self.clock, self.settings()).into_iter().chain(over).min();
        due.map(|due| due.max(kept.paused_until))
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
        self.mappings.keys().for_each(|mapping| self.show_drift(mapping, false));
    }
}

impl Home for MappingHome {
    type Command = Command;

    async fn apply(&mut self, topic: usize, key: &Bytes, value: Option<Bytes>) -> Result<(), String> {
        let key = std::str::from_utf8(key).map_err(|_| "the key is not text".to_owned())?;
        self.take(topic, key, value).await
    }

    async fn restored(&mut self, now: i64) -> Effects {
        self.clock = now;
        let batches: usize = self.mappings.values().map(|kept| kept.waiting.batches.len()).sum();
        metrics::PARKED_BATCHES.add(i64::try_from(batches).unwrap_or(i64::MAX));
        if let Some(error) = self.locked.values().next() {
            emit(Locked { home: self.site.partition, records: self.locked.len(), error });
            return Effects::none();
        }
        self.look_back();
        self.mappings.keys().for_each(|mapping| self.show_drift(mapping, true));
        Effects::of(self.sealed_anew())
    }

    async fn handle(&mut self, command: Command, _: &Record, now: i64) -> Result<Effects, StageError> {
        self.clock = now;
        if let Some(error) = self.locked.values().next() {
            return Err(StageError::new(error.code(), error.to_string()));
        }
        let mapping = command.mapping().clone();
        let records = match command {
            Command::Park(batch) => self.park(*batch, now).await?,
            Command::Remember(sample) => self.remember(sample, now)?,
            Command::Outcome(outcome) => self.outcome(outcome, now).await?,
            Command::Answered(answer) => self.answered(answer, now)?,
            Command::Asked(command) => self.asked(command, now)?,
            Command::Moved(moved) => {
                self.moved(moved, now);
                Vec::new()
            }
        };
        self.show_drift(&mapping, true);
        Ok(self.effects(records))
    }

    fn next_timer(&self) -> Option<i64> {
        if !self.locked.is_empty() {
            return None;
        }
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
            self.show_drift(&mapping, true);
        }
        self.effects(records)
    }
}
