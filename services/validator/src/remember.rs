use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use prunella_model::{MappingKey, TextHash};
use prunella_stream::homes::now_millis;
use prunella_wire::records::MappingSample;

/// Samples that are kept of a mapping; a newer one takes the place of an older one.
const SLOTS: i32 = 64;
/// The first ones come quickly: a source may drift on its first day.
const EAGER: i32 = 24;
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
    last: Option<Instant>,
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
        let is_watched = pace.parked.is_some_and(|parked| parked.elapsed() < WATCHED);
        let every = match pace.taken {
            0..EAGER => Duration::from_millis(50),
            _ if is_watched => Duration::from_secs(1),
            _ => self.every,
        };
        valid > 0 && pace.last.is_none_or(|last| last.elapsed() >= every)
    }

    /// The sample; `None` for what is too large or no text.
    pub(crate) fn sample(
        &self,
        mapping: MappingKey,
        base: &TextHash,
        version: i32,
        input: &Bytes,
        output: &Bytes,
    ) -> Option<MappingSample> {
        if input.len() + output.len() > LARGEST {
            return None;
        }
        let (input, output) = (std::str::from_utf8(input).ok()?, std::str::from_utf8(output).ok()?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = known.entry(mapping.clone()).or_default();
        let slot = pace.taken % SLOTS;
        pace.taken = pace.taken.wrapping_add(1).max(0);
        pace.last = Some(Instant::now());
        let valid = std::mem::take(&mut pace.valid);
        let (base, input, output) = (base.clone(), input.to_owned(), output.to_owned());
        Some(MappingSample { mapping, base, version, slot, input, output, valid, taken_at: now_millis() })
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
    use super::*;

    fn key() -> MappingKey {
        "default/orders/fetch/0123456789abcdef".parse().expect("valid")
    }

    fn take(remember: &Rememberer) -> Option<MappingSample> {
        let base = TextHash::of("text");
        remember.sample(key(), &base, 1, &Bytes::from_static(b"{}"), &Bytes::from_static(b"[]"))
    }

    #[test]
    fn the_first_comes_at_once_and_the_next_after_a_while() {
        let remember = Rememberer::new(Duration::from_secs(3600));
        assert!(!remember.is_due(&key(), 1, 0), "nothing valid, nothing to remember");
        assert!(remember.is_due(&key(), 1, 3));
        assert_eq!(take(&remember).expect("a sample").valid, 3);
        assert!(!remember.is_due(&key(), 1, 1));
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
        let (base, large) = (TextHash::of(""), Bytes::from(vec![b'1'; LARGEST + 1]));
        assert!(remember.sample(key(), &base, 1, &large, &Bytes::new()).is_none());
        assert!(remember.sample(key(), &base, 1, &Bytes::from_static(b"\xff"), &Bytes::new()).is_none());
    }
}
