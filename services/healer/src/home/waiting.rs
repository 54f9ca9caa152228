//! What waits for one mapping, and what is to be done about it. No I/O.

use indexmap::IndexMap;

use prunella_catalog::MappingHistory;
use prunella_model::{Code, TextHash};
use prunella_wire::Payload;
use prunella_wire::records::{ParkedBatch, StageItem};

use crate::settings::HealingSettings;

/// Parked batches that are driven at a time: what comes of them is in memory until it is written.
const AT_ONCE: usize = 16;

/// What to do next, and when.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// Drive these with the version that is used now.
    Drive(Vec<String>),
    /// These go to the dead letters if they cannot be mapped now.
    GiveUp(Vec<String>),
    /// Attempt to repair the mapping of this author's text.
    Attempt(TextHash),
}

/// The batches that wait for one mapping.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) batches: IndexMap<String, ParkedBatch>,
    /// Items that failed, and items that did not, since something waits.
    failed: u64,
    valid: u64,
    /// Attempts since something waits.
    attempts: u32,
    attempting: bool,
    next_attempt: i64,
    /// Something came since the last attempt began.
    fresh: bool,
    /// Batches may wait that another version of the mapping has not been tried on.
    driving: bool,
    /// A person decided that what waits is not worth waiting.
    given_up: bool,
    bytes: u64,
    /// Batches that wait although their items are valid.
    held: usize,
}

impl Waiting {
    pub(super) fn park(&mut self, batch: ParkedBatch, now: i64, settings: &HealingSettings) {
        if !self.fresh && !self.attempting {
            self.next_attempt = now + self.wait(settings);
        }
        self.fresh = true;
        self.driving = true;
        self.failed += batch.work.items.len() as u64;
        self.valid += u64::try_from(batch.valid).unwrap_or(0);
        self.insert(batch);
    }

    fn insert(&mut self, batch: ParkedBatch) {
        self.bytes += size(&batch);
        self.held += usize::from(is_held(&batch));
        if let Some(before) = self.batches.insert(batch.key(), batch) {
            self.bytes -= size(&before);
            self.held -= usize::from(is_held(&before));
        }
    }

    /// A batch that some items of have left.
    pub(super) fn replace(&mut self, batch: ParkedBatch, now: i64, settings: &HealingSettings) {
        self.fresh = true;
        self.next_attempt = self.next_attempt.max(now + settings.gather.millis());
        self.insert(batch);
    }

    /// Nothing of the batch waits any more.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(batch) = self.batches.shift_remove(key) {
            self.bytes -= size(&batch);
            self.held -= usize::from(is_held(&batch));
        }
        if self.batches.is_empty() {
            *self = Self::default();
        }
    }

    /// Items were valid with `version`; that speaks against a drift only if it is the one that failed.
    pub(super) fn went_well(&mut self, version: i32, valid: i32) {
        if self.batches.last().is_some_and(|(_, newest)| newest.work.mapping_version == version) {
            self.valid += u64::try_from(valid).unwrap_or(0);
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn attempt_begins(&mut self) {
        self.attempting = true;
        self.fresh = false;
        self.attempts += 1;
    }

    pub(super) fn attempt_ended(&mut self, now: i64, settings: &HealingSettings) {
        self.attempting = false;
        self.next_attempt = now + self.wait(settings);
    }

    pub(super) fn next_attempt(&self) -> i64 {
        self.next_attempt
    }

    /// An attempt is worth while at this moment, although nothing may have come since the last one.
    pub(super) fn try_at(&mut self, moment: i64) {
        self.fresh = true;
        self.next_attempt = moment;
    }

    /// Another version is used from now on.
    pub(super) fn version_changed(&mut self) {
        self.driving = true;
        self.attempts = 0;
        self.valid = 0;
    }

    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Attempt anew, whatever was attempted before.
    pub(super) fn try_again(&mut self, now: i64) {
        self.fresh = true;
        self.attempts = 0;
        self.next_attempt = now;
    }

    /// Whether what fails looks like a source that changed, and not like bad data now and then.
    pub(super) fn is_drift(&self, settings: &HealingSettings) -> bool {
        self.failed >= settings.few_items as u64
            && self.failed as f64 >= settings.drift_share * (self.failed + self.valid) as f64
    }

    pub(super) fn next(&mut self, history: &MappingHistory, now: i64, settings: &HealingSettings) -> Next {
        if self.driving {
            let untried = |batch: &ParkedBatch| {
                let is_let_go = is_held(batch) && history.drift(&batch.base).is_none();
                is_let_go || history.active_version(&batch.base) != batch.work.mapping_version
            };
            let keys = self.keys(untried);
            if !keys.is_empty() {
                return Next::Drive(keys);
            }
            self.driving = false;
        }
        let late = now - settings.longest_parked.millis();
        let tries = i32::try_from(settings.tries).unwrap_or(i32::MAX);
        let given_up = self.given_up || self.is_bad_data(now, settings);
        let keys = self.keys(|batch| given_up || batch.parked_at <= late || batch.tries >= tries);
        if !keys.is_empty() {
            return Next::GiveUp(keys);
        }
        match self.batches.last() {
            Some((_, newest)) if self.fresh && !self.attempting && now >= self.next_attempt => {
                Next::Attempt(newest.base.clone())
            }
            _ => Next::Nothing,
        }
    }

    /// When [`Waiting::next`] may say something else than before.
    pub(super) fn due(&self, now: i64, settings: &HealingSettings) -> Option<i64> {
        let (_, oldest) = self.batches.first()?;
        let tries = i32::try_from(settings.tries).unwrap_or(i32::MAX);
        if self.driving || self.given_up || self.is_bad_data(now, settings) || oldest.tries >= tries {
            return Some(now);
        }
        let mut due = oldest.parked_at.saturating_add(settings.longest_parked.millis());
        if self.fresh && !self.attempting {
            due = due.min(self.next_attempt);
        }
        if self.attempts > 0 && !self.attempting && self.held == 0 && self.failed < settings.few_items as u64 {
            due = due.min(oldest.parked_at + settings.patience.millis());
        }
        Some(due)
    }

    /// An attempt proved nothing, and either most items are fine or hardly any came.
    fn is_bad_data(&self, now: i64, settings: &HealingSettings) -> bool {
        if self.attempts == 0 || self.attempting || self.held > 0 {
            return false;
        }
        let Some((_, oldest)) = self.batches.first() else { return false };
        let mostly_fine = (self.failed as f64) < settings.drift_share * (self.failed + self.valid) as f64;
        let hardly_any = self.failed < settings.few_items as u64;
        mostly_fine || (hardly_any && now >= oldest.parked_at + settings.patience.millis())
    }

    fn keys(&self, wanted: impl Fn(&ParkedBatch) -> bool) -> Vec<String> {
        let found = self.batches.iter().filter(|(_, batch)| wanted(batch));
        found.take(AT_ONCE).map(|(key, _)| key.clone()).collect()
    }

    /// Doubles with every attempt.
    fn wait(&self, settings: &HealingSettings) -> i64 {
        let gather = settings.gather.millis().max(1);
        gather.saturating_mul(1 << self.attempts.min(30)).min(settings.max_backoff.millis().max(gather))
    }
}

/// Whether items of the batch wait because outputs do not look as they used to.
fn is_held(batch: &ParkedBatch) -> bool {
    let is_held = |item: &StageItem| item.error.as_ref().is_some_and(|error| error.code == Code::SilentDrift.id());
    batch.work.items.iter().any(is_held)
}

fn size(batch: &ParkedBatch) -> u64 {
    let held = |item: &StageItem| if let Payload::Inline(bytes) = &item.input { bytes.len() as u64 } else { 0 };
    batch.work.items.iter().map(|item| held(item) + 64).sum()
}
