use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use prunella_model::MappingKey;
use prunella_stream::homes::now_millis;
use prunella_wire::records::MappingSample;
use prunella_workflow::PlannedHealing;

/// Samples that are kept of a mapping; a newer one takes the place of an older one.
const SLOTS: i32 = 64;
/// The first ones of a version come quickly: a source may drift on its first day, and again the day after.
const EAGER: i32 = 24;
/// Batches that come one right after the other are much alike: this much lies between two samples.
const APART: Duration = Duration::from_millis(50);
/// How many samples a mapping may catch up on that could have been taken while nothing ran: what runs for two seconds
/// once an hour would be known by one item an hour.
const SAVED_UP: u32 = 8;
/// Longest sample; larger items say nothing that smaller ones do not.
const LARGEST: usize = 64 << 10;
/// As long as something waits for a mapping, the healer wants to know how the mapping does otherwise.
const WATCHED: Duration = Duration::from_secs(60);

/// Decides which valid items are remembered, so that a repair can be proven on them later. One per process; what it
/// counts is about this process alone.
pub struct Rememberer {
    every: Duration,
    known: Mutex<HashMap<MappingKey, Pace>>,
}

#[derive(Default)]
struct Pace {
    taken: i32,
    /// Of the newest version.
    taken_of_newest: i32,
    newest: i32,
    last: Option<Instant>,
    /// When the next one would be due, had each been taken at its time.
    next: Option<Instant>,
    /// When items were parked last.
    parked: Option<Instant>,
    /// Valid items that the healer does not know of, and the version of the mapping that they speak for.
    valid: i32,
    version: i32,
}

impl Pace {
    /// What another version did well says nothing about this one.
    fn turn_to(&mut self, version: i32) {
        if self.version != version {
            self.version = version;
            self.valid = 0;
        }
        if version > self.newest {
            self.newest = version;
            self.taken_of_newest = 0;
        }
    }

    fn is_eager(&self) -> bool {
        self.taken_of_newest < EAGER
    }

    /// Whether a sample may be taken `now`, when there is to be one in `every`.
    fn is_due(&self, now: Instant, every: Duration) -> bool {
        let is_apart = self.last.is_none_or(|last| now.saturating_duration_since(last) >= APART);
        let ahead = self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now));
        is_apart && (self.is_eager() || ahead <= every * (SAVED_UP - 1))
    }

    fn take(&mut self, now: Instant, every: Duration) {
        // What is taken at first is not counted against what comes later.
        let from = if self.is_eager() { now } else { self.next.map_or(now, |next| next.max(now)) };
        self.next = Some(from + every);
        self.last = Some(now);
        self.taken = self.taken.wrapping_add(1).max(0);
        self.taken_of_newest = self.taken_of_newest.saturating_add(1);
    }
}

impl Rememberer {
    /// Remembers an item of each mapping about once in `every`, and more often at first.
    pub fn new(every: Duration) -> Self {
        Self { every, known: Mutex::default() }
    }

    /// Counts items that were valid with `version`; whether one of them is to be remembered.
    pub(crate) fn is_due(&self, mapping: &MappingKey, version: i32, valid: i32) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = known.entry(mapping.clone()).or_default();
        pace.turn_to(version);
        pace.valid = pace.valid.saturating_add(valid);
        valid > 0 && pace.is_due(Instant::now(), self.every(pace))
    }

    fn every(&self, pace: &Pace) -> Duration {
        let is_watched = pace.parked.is_some_and(|parked| parked.elapsed() < WATCHED);
        if is_watched { self.every.min(Duration::from_secs(1)) } else { self.every }
    }

    /// The sample of an item and what became of it; `None` for what is too large or no text. Of `others`, outputs of the
    /// same batch, there are as many as have room beside it.
    pub(crate) fn sample(
        &self,
        mapping: MappingKey,
        healing: &PlannedHealing,
        version: i32,
        [input, output]: [&Bytes; 2],
        others: Vec<Bytes>,
    ) -> Option<MappingSample> {
        let mut size = input.len() + output.len();
        if size > LARGEST {
            return None;
        }
        let (input, output) = (std::str::from_utf8(input).ok()?, std::str::from_utf8(output).ok()?);
        let others = others.into_iter().take_while(|other| {
            size += other.len();
            size <= LARGEST
        });
        let others = others.filter_map(|other| String::from_utf8(other.into()).ok()).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = known.entry(mapping.clone()).or_default();
        let slot = pace.taken % SLOTS;
        let every = self.every(pace);
        pace.take(Instant::now(), every);
        let valid = std::mem::take(&mut pace.valid);
        let (base, input, output) = (healing.base.clone(), input.to_owned(), output.to_owned());
        let silent_drift = healing.settings.silent_drift.as_str().to_owned();
        let taken_at = now_millis();
        Some(MappingSample { mapping, base, version, slot, input, output, valid, silent_drift, others, taken_at })
    }

    /// Items that `version` could not map are parked: gives how many it mapped well meanwhile, `valid` in the same batch
    /// included.
    pub(crate) fn parked(&self, mapping: &MappingKey, version: i32, valid: i32) -> i32 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = known.entry(mapping.clone()).or_default();
        pace.turn_to(version);
        let since = std::mem::take(&mut pace.valid);
        let is_watched = pace.parked.replace(Instant::now()).is_some_and(|parked| parked.elapsed() < WATCHED);
        // What went well before the trouble began says nothing about it.
        if is_watched { since.saturating_add(valid) } else { valid }
    }
}

#[cfg(test)]
mod tests {
    use prunella_model::TextHash;
    use prunella_model::workflow::{Heal, Healing};

    use super::*;

    fn key() -> MappingKey {
        "default/orders/fetch/0123456789abcdef".parse().expect("valid")
    }

    fn healing() -> PlannedHealing {
        PlannedHealing {
            policy: Heal::Auto,
            text: "text".into(),
            base: TextHash::of("text"),
            schema: true.into(),
            schema_hash: TextHash::of("true"),
            settings: Healing::default(),
            redact: Vec::new(),
            tests: Vec::new(),
        }
    }

    fn take(remember: &Rememberer, others: Vec<Bytes>) -> Option<MappingSample> {
        remember.sample(key(), &healing(), 1, [&Bytes::from_static(b"{}"), &Bytes::from_static(b"[]")], others)
    }

    #[test]
    fn the_first_comes_at_once_and_the_next_after_a_while() {
        let remember = Rememberer::new(Duration::from_secs(3600));
        assert!(!remember.is_due(&key(), 1, 0), "nothing valid, nothing to remember");
        assert!(remember.is_due(&key(), 1, 3));
        assert_eq!(take(&remember, Vec::new()).expect("a sample").valid, 3);
        assert!(!remember.is_due(&key(), 1, 1));
    }

    #[test]
    fn a_new_version_is_remembered_as_quickly_as_the_first() {
        let remember = Rememberer::new(Duration::from_secs(3600));
        for _ in 0..EAGER.unsigned_abs() + SAVED_UP {
            remember.is_due(&key(), 1, 1);
            drop(take(&remember, Vec::new()));
        }
        let waits = |version| {
            std::thread::sleep(Duration::from_millis(60));
            !remember.is_due(&key(), version, 1)
        };
        assert!(waits(1), "enough is known of it");
        assert!(!waits(2));
        drop(take(&remember, Vec::new()));
        assert!(!waits(2), "more of it is wanted");
    }

    #[test]
    fn what_runs_rarely_catches_up_and_what_runs_always_does_not_take_more() {
        let (every, mut now) = (Duration::from_secs(10), Instant::now());
        let mut pace = Pace { taken_of_newest: EAGER, ..Pace::default() };
        let mut taken_within = |time: Duration| {
            let until = now + time;
            let mut taken = 0;
            while now < until {
                if pace.is_due(now, every) {
                    pace.take(now, every);
                    taken += 1;
                }
                now += Duration::from_millis(10);
            }
            now += Duration::from_secs(3600);
            taken
        };
        assert_eq!(taken_within(Duration::from_secs(2)), SAVED_UP);
        assert_eq!(taken_within(Duration::from_secs(2)), SAVED_UP, "an hour later");
        assert_eq!(taken_within(Duration::from_millis(120)), 3, "and none at once");
        assert_eq!(taken_within(Duration::from_secs(1000)), SAVED_UP + 99);
    }

    #[test]
    fn only_what_went_well_during_the_trouble_counts() {
        let remember = Rememberer::new(Duration::from_secs(3600));
        remember.is_due(&key(), 1, 1000);
        assert_eq!(remember.parked(&key(), 1, 2), 2, "the thousand were before");
        remember.is_due(&key(), 1, 7);
        assert_eq!(remember.parked(&key(), 1, 0), 7);
        remember.is_due(&key(), 2, 50);
        assert_eq!(remember.parked(&key(), 1, 0), 0, "the fifty were another version's");
    }

    #[test]
    fn large_items_and_bytes_that_are_no_text_are_not_remembered() {
        let remember = Rememberer::new(Duration::ZERO);
        let (large, none) = (Bytes::from(vec![b'1'; LARGEST + 1]), Bytes::new());
        assert!(remember.sample(key(), &healing(), 1, [&large, &none], Vec::new()).is_none());
        let bytes = Bytes::from_static(b"\xff");
        assert!(remember.sample(key(), &healing(), 1, [&bytes, &none], Vec::new()).is_none());
    }

    #[test]
    fn a_look_has_as_many_outputs_as_have_room() {
        let remember = Rememberer::new(Duration::ZERO);
        let others = vec![Bytes::from(vec![b'1'; LARGEST / 3]); 16];
        let sample = take(&remember, others).expect("a sample");
        assert_eq!((sample.others.len(), sample.silent_drift.as_str()), (2, "warn"));
    }
}
