//! Silent drift: outputs of the version in use are valid, and do not look as they used to.
//!
//! Samples of outputs come by anyway; nothing is asked of the stages. The newest looks are a window that slides; it is
//! judged beside the habit of earlier ones.
//!
//! Invariants: a look is learned only after it has left the window, so a drift is noticed before any of it is learned;
//! what a window has remembered is taken back when a drift is noticed in it; of one version there is one drift, until it
//! passes, somebody accepts it, or another version is used.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use prunella_model::{MappingKey, TextHash};
use prunella_repair::{Habit, Jump, Portion};
use prunella_stream::{OutRecord, StageError};
use prunella_telemetry::{emit, metrics};
use prunella_wire::records::{MappingCommand, MappingDrift, MappingProfile, MappingSample};

use super::watch::told_jumps;
use super::{HEALER, Kept, MappingHome};
use crate::events::{DriftNoticed, DriftPassed};

/// A window has so many looks at least, and so many outputs that differ.
const LOOKS: usize = 6;
const OUTPUTS: u64 = 20;
/// Outputs that are known by their hash: the same one twice says no more than once.
const SEEN: usize = 2_000;
/// Fields of a portion, and bytes of its text, at most.
const MOST_FIELDS: usize = 200;
const LARGEST: usize = 256 << 10;
/// Where the portion is kept that a drift was noticed in.
const NOTICED: &str = "noticed";
/// Portions that follow each other.
const RECENT: usize = 8;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The outputs that mappings of one text of the author give.
#[derive(Default)]
pub(super) struct Noticing {
    habit: Habit,
    window: VecDeque<Portion>,
    /// Looks that have left the window, until they are a portion.
    leaving: Portion,
    seen: (HashSet<u64>, VecDeque<u64>),
    /// The window that the drift was noticed in, and what was remembered meanwhile.
    noticed: Option<Portion>,
    aside: Vec<MappingSample>,
    /// Fields of the drift that were told.
    told: BTreeSet<String>,
}

impl Noticing {
    /// Looks at a sample; false when it shows nothing new.
    fn look(&mut self, sample: &MappingSample) -> bool {
        let texts = std::iter::once(&sample.output).chain(&sample.others);
        let new: Vec<&String> = texts.filter(|text| self.is_new(text)).collect();
        let outputs: Vec<Value> = new.into_iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        if outputs.is_empty() {
            return false;
        }
        self.window.push_back(Portion::look(&outputs, sample.taken_at));
        true
    }

    fn is_new(&mut self, output: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        output.hash(&mut hasher);
        let (known, order) = &mut self.seen;
        if !known.insert(hasher.finish()) {
            return false;
        }
        order.push_back(hasher.finish());
        if order.len() > SEEN
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
        true
    }

    /// The window, if it says enough to be judged.
    fn window(&self, every: i64) -> Option<Portion> {
        is_full(self.window.iter(), every).then(|| {
            let mut all = Portion::default();
            self.window.iter().for_each(|look| all.merge(look));
            all
        })
    }

    /// The look that leaves the window, if what stays is full.
    fn slide(&mut self, every: i64) -> Option<Portion> {
        if is_full(self.window.iter().skip(1), every) { self.window.pop_front() } else { None }
    }

    /// Takes a portion from its record.
    pub(super) fn restore(&mut self, place: String, portion: Portion) {
        if place == NOTICED { self.noticed = Some(portion) } else { self.habit.learn(place, portion) }
    }

    pub(super) fn forget(&mut self, place: &str) {
        if place == NOTICED { self.noticed = None } else { self.habit.forget(place) }
    }

    /// What is used has changed: looks at what was used before are not judged with those at what is used now.
    pub(super) fn begin_anew(&mut self) {
        self.window.clear();
        self.told.clear();
    }

    /// Where a portion is kept: among the recent ones, and for its hour of the day and its day of the week if the last one
    /// of these was another day's or another week's.
    fn places(&self, until: i64) -> Vec<String> {
        let kept = self.habit.portions();
        let age = |place: &String| kept.get(place).map_or(i64::MAX, |portion| until - portion.until);
        let recent = (0..RECENT).map(|at| format!("recent-{at}")).max_by_key(age);
        let hour = Some(format!("hour-{}", until.div_euclid(HOUR) % 24)).filter(|place| age(place) > 2 * HOUR);
        let weekday = Some(format!("weekday-{}", until.div_euclid(DAY) % 7)).filter(|place| age(place) > 2 * DAY);
        recent.into_iter().chain(hour).chain(weekday).collect()
    }
}

fn is_full<'a>(looks: impl Iterator<Item = &'a Portion>, every: i64) -> bool {
    let mut all = looks.peekable();
    let Some(since) = all.peek().map(|look| look.since) else { return false };
    let (mut count, mut outputs, mut until) = (0, 0, since);
    for look in all {
        count += 1;
        outputs += look.outputs();
        until = until.max(look.until);
    }
    // The first looks after a start come in quick succession, and are all of the same moment.
    count >= LOOKS && outputs >= OUTPUTS && until - since >= (LOOKS as i64 - 1) * every
}

impl MappingHome {
    /// Looks at what a sample of the version in use shows.
    pub(super) fn notice(&mut self, sample: &MappingSample, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let every = self.settings().remember_every.millis();
        let (mapping, base) = (&sample.mapping, &sample.base);
        let kept = self.kept(mapping);
        let is_meant = sample.silent_drift != "off" && sample.version == kept.history.active_version(base);
        if !is_meant || !kept.noticing(base).look(sample) {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        while let Some(window) = self.kept(mapping).noticing(base).window(every) {
            records.extend(self.judge(mapping, base, window, now)?);
            let kept = self.kept(mapping);
            let is_drifting = kept.history.drift(base).is_some();
            let Some(look) = kept.noticing(base).slide(every) else { break };
            if !is_drifting {
                records.extend(self.learn_look(mapping, base, &look)?);
            }
        }
        Ok(records)
    }

    fn judge(
        &mut self,
        mapping: &MappingKey,
        base: &TextHash,
        window: Portion,
        now: i64,
    ) -> Result<Vec<OutRecord>, StageError> {
        let kept = self.kept(mapping);
        let known = kept.history.drift(base).cloned();
        // Whoever approved the version knew of these.
        let approved = kept.history.healed(base).map(|version| told_jumps(version)).unwrap_or_default();
        let noticing = kept.noticing(base);
        let mut found: Vec<Jump> = noticing.habit.drift(&window);
        found.retain(|jump| !approved.contains(&jump.field));
        let fields: BTreeSet<String> = found.iter().map(|jump| jump.field.clone()).collect();
        match known {
            None if found.is_empty() => Ok(Vec::new()),
            Some(drift) if found.is_empty() => self.passed(&drift, now),
            Some(_) if fields.is_subset(&noticing.told) => Ok(Vec::new()),
            known => {
                noticing.told.extend(fields);
                let (since, noticed_at) = known.map_or((window.since, now), |known| (known.since, known.noticed_at));
                let version = kept.history.active_version(base);
                let found = found.iter().map(Jump::in_words).collect();
                let (mapping, base) = (mapping.clone(), base.clone());
                self.noticed(MappingDrift { mapping, base, version, found, since, noticed_at }, window, now)
            }
        }
    }

    /// Tells of a drift; what was remembered while it went on is no example of what is right.
    fn noticed(&mut self, drift: MappingDrift, window: Portion, now: i64) -> Result<Vec<OutRecord>, StageError> {
        emit(DriftNoticed { drift: &drift });
        let detail = drift.found.join("; ");
        let mut records = vec![
            self.writer.drift(&drift)?,
            self.writer.audit((HEALER, "drift-noticed", detail), &drift.mapping, drift.version, now)?,
            self.writer.profile(&profile(&drift.mapping, &drift.base, NOTICED, &window))?,
        ];
        let writer = self.writer.clone();
        let kept = self.kept(&drift.mapping);
        let is_doubtful = |sample: &MappingSample| sample.base == drift.base && sample.taken_at >= drift.since;
        let slots: Vec<i32> = kept.samples.values().filter(|it| is_doubtful(it)).map(|it| it.slot).collect();
        let doubtful: Vec<MappingSample> = slots.iter().filter_map(|slot| kept.samples.remove(slot)).collect();
        records.extend(doubtful.iter().map(|sample| writer.forgotten(sample.key())));
        let noticing = kept.noticing(&drift.base);
        noticing.noticed = Some(window);
        noticing.aside.extend(doubtful);
        kept.history.drifts.insert((drift.base.clone(), drift.version), Arc::new(drift));
        Ok(records)
    }

    /// Outputs look as they used to again.
    fn passed(&mut self, drift: &MappingDrift, now: i64) -> Result<Vec<OutRecord>, StageError> {
        emit(DriftPassed { drift });
        let mut records = self.closed(drift);
        let noticing = self.kept(&drift.mapping).noticing(&drift.base);
        noticing.aside.clear();
        noticing.begin_anew();
        let detail = "outputs look as they used to again".to_owned();
        records.push(self.writer.audit((HEALER, "drift-passed", detail), &drift.mapping, drift.version, now)?);
        Ok(records)
    }

    /// Somebody says that outputs look so now: it is learned, and what waited because of it goes on.
    pub(super) fn accept(&mut self, command: &MappingCommand, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let mapping = &command.mapping;
        let mut records = Vec::new();
        for drift in self.kept(mapping).drifts() {
            let noticing = self.kept(mapping).noticing(&drift.base);
            noticing.told.clear();
            let (learned, aside) = (noticing.noticed.take(), std::mem::take(&mut noticing.aside));
            records.extend(self.closed(&drift));
            if let Some(portion) = learned {
                records.extend(self.learn(mapping, &drift.base, portion)?);
            }
            for sample in aside {
                records.push(self.writer.sample(&sample)?);
                self.kept(mapping).samples.insert(sample.slot, sample);
            }
            let told = (command.actor.as_str(), "drift-accepted", command.reason.clone());
            records.push(self.writer.audit(told, mapping, drift.version, now)?);
        }
        self.kept(mapping).waiting.version_changed();
        Ok(records)
    }

    /// Somebody decided which version is right, whatever its outputs look like: how they look is learned anew.
    pub(super) fn forget_habit(&mut self, mapping: &MappingKey, base: &TextHash) -> Vec<OutRecord> {
        let drifts = self.kept(mapping).drifts();
        let mut records: Vec<OutRecord> =
            drifts.iter().filter(|drift| drift.base == *base).flat_map(|drift| self.closed(drift)).collect();
        let known = std::mem::take(self.kept(mapping).noticing(base));
        let places = known.habit.portions().keys();
        records.extend(places.map(|place| self.writer.forgotten(profile_key(mapping, base, place))));
        records
    }

    /// The drift is over, one way or another.
    fn closed(&mut self, drift: &MappingDrift) -> Vec<OutRecord> {
        let kept = self.kept(&drift.mapping);
        kept.history.drifts.remove(&(drift.base.clone(), drift.version));
        kept.noticing(&drift.base).noticed = None;
        vec![
            self.writer.no_drift(drift.key()),
            self.writer.forgotten(profile_key(&drift.mapping, &drift.base, NOTICED)),
        ]
    }

    fn learn_look(
        &mut self,
        mapping: &MappingKey,
        base: &TextHash,
        look: &Portion,
    ) -> Result<Vec<OutRecord>, StageError> {
        let leaving = &mut self.kept(mapping).noticing(base).leaving;
        leaving.merge(look);
        if (leaving.looks as usize) < LOOKS || leaving.outputs() < OUTPUTS {
            return Ok(Vec::new());
        }
        let portion = std::mem::take(leaving);
        self.learn(mapping, base, portion)
    }

    fn learn(
        &mut self,
        mapping: &MappingKey,
        base: &TextHash,
        mut portion: Portion,
    ) -> Result<Vec<OutRecord>, StageError> {
        portion.keep(MOST_FIELDS);
        while portion.fields.len() > 1 && text_of(&portion).len() > LARGEST {
            portion.keep(portion.fields.len() / 2);
        }
        let writer = self.writer.clone();
        let noticing = self.kept(mapping).noticing(base);
        let mut records = Vec::new();
        for place in noticing.places(portion.until) {
            records.push(writer.profile(&profile(mapping, base, &place, &portion))?);
            noticing.habit.learn(place, portion.clone());
        }
        Ok(records)
    }

    /// Takes what is known of outputs from its record.
    pub(super) fn profiled(&mut self, profile: MappingProfile) {
        // One that another release wrote in another form is learned anew.
        if let Ok(portion) = serde_json::from_str(&profile.portion) {
            self.kept(&profile.mapping).noticing(&profile.base).restore(profile.place, portion);
        }
    }

    /// Takes a tombstone of `state.samples`.
    pub(super) fn forgotten(&mut self, key: &str) {
        for (mapping, kept) in &mut self.mappings {
            kept.samples.retain(|_, sample| sample.key() != key);
            for (base, noticing) in &mut kept.noticing {
                if let Some(place) = key.strip_prefix(&profile_key(mapping, base, "")) {
                    noticing.forget(place);
                }
            }
        }
    }

    /// A portion by the key of its record.
    pub(super) fn profile(&self, key: &str) -> Option<MappingProfile> {
        self.mappings.iter().find_map(|(mapping, kept)| {
            kept.noticing.iter().find_map(|(base, noticing)| {
                let place = key.strip_prefix(&profile_key(mapping, base, ""))?;
                let portion = noticing.habit.portions().get(place).or(noticing.noticed.as_ref())?;
                Some(profile(mapping, base, place, portion))
            })
        })
    }

    /// Looks that were in the windows when the home was given up stand among the samples.
    pub(super) fn look_back(&mut self) {
        for kept in self.mappings.values_mut() {
            let mut samples: Vec<MappingSample> = kept.samples.values().cloned().collect();
            samples.sort_by_key(|sample| sample.taken_at);
            for sample in samples.iter().filter(|sample| sample.silent_drift != "off") {
                let noticing = kept.noticing(&sample.base);
                if noticing.habit.portions().values().all(|portion| portion.until < sample.taken_at) {
                    noticing.look(sample);
                }
            }
        }
    }

    /// Shows which mappings drift.
    pub(super) fn show_drift(&self, mapping: &MappingKey, is_ours: bool) {
        let Some(kept) = self.mappings.get(mapping).filter(|kept| !kept.noticing.is_empty()) else { return };
        let labels = [mapping.workspace.as_str(), mapping.workflow.as_str(), mapping.step.as_str()];
        metrics::SILENT_DRIFT.with_label_values(&labels).set(i64::from(is_ours && !kept.drifts().is_empty()));
    }
}

impl Kept {
    pub(super) fn noticing(&mut self, base: &TextHash) -> &mut Noticing {
        self.noticing.entry(base.clone()).or_default()
    }

    /// Drifts of versions that are used.
    pub(super) fn drifts(&self) -> Vec<Arc<MappingDrift>> {
        let drifts = self.history.drifts.values();
        drifts.filter(|drift| self.history.active_version(&drift.base) == drift.version).cloned().collect()
    }
}

fn profile(mapping: &MappingKey, base: &TextHash, place: &str, portion: &Portion) -> MappingProfile {
    let portion = text_of(portion);
    MappingProfile { mapping: mapping.clone(), base: base.clone(), place: place.to_owned(), portion }
}

fn profile_key(mapping: &MappingKey, base: &TextHash, place: &str) -> String {
    format!("{mapping}/{base}/{place}")
}

fn text_of(portion: &Portion) -> String {
    serde_json::to_string(portion).unwrap_or_default()
}

#[cfg(test)]
#[path = "noticing_tests.rs"]
mod tests;
