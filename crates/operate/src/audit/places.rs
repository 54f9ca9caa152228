use std::collections::BTreeMap;

use crate::offsets::Bounds;

/// Offsets of a topic, a bit each.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<i32, Bits>);

#[derive(Debug)]
struct Bits {
    bounds: Bounds,
    words: Vec<u64>,
}

impl Places {
    /// For the offsets within these bounds; others are not kept.
    pub(super) fn within(bounds: &BTreeMap<i32, Bounds>) -> Self {
        let bits = |bounds: &Bounds| {
            let length = usize::try_from(bounds.end - bounds.first).unwrap_or(0);
            Bits { bounds: *bounds, words: vec![0; length.div_ceil(64)] }
        };
        Self(bounds.iter().map(|(partition, bounds)| (*partition, bits(bounds))).collect())
    }

    fn place(&self, partition: i32, offset: i64) -> Option<(usize, u64)> {
        let bounds = self.0.get(&partition)?.bounds;
        let index = usize::try_from(offset.checked_sub(bounds.first)?).ok().filter(|_| offset < bounds.end)?;
        Some((index / 64, 1 << (index % 64)))
    }

    /// Adds an offset; false when it was there before.
    pub(super) fn insert(&mut self, partition: i32, offset: i64) -> bool {
        let Some((word, bit)) = self.place(partition, offset) else { return true };
        let Some(bits) = self.0.get_mut(&partition) else { return true };
        let is_new = bits.words[word] & bit == 0;
        bits.words[word] |= bit;
        is_new
    }

    pub(super) fn contains(&self, partition: i32, offset: i64) -> bool {
        let found =
            self.place(partition, offset).and_then(|(word, bit)| Some(self.0.get(&partition)?.words[word] & bit));
        found.is_some_and(|bit| bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_kept_within_their_bounds() {
        let mut places = Places::within(&[(2, Bounds { first: 100, end: 230 })].into());
        assert!(places.insert(2, 100) && places.insert(2, 229) && !places.insert(2, 229));
        assert!(places.contains(2, 100) && places.contains(2, 229) && !places.contains(2, 101));
        for (partition, offset) in [(2, 99), (2, 230), (1, 100), (2, -1)] {
            places.insert(partition, offset);
            assert!(!places.contains(partition, offset), "{partition}/{offset}");
        }
    }
}
