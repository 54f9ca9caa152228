use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Entries that are due within the same four seconds are due together, at the end of them.
const SLICE_BITS: u32 = 12;

/// What is over and has to be recognised for hours or days: much, so it takes little memory.
/// An entry is forgotten some seconds after its time, never before.
#[derive(Debug)]
pub struct Remembered<K, V> {
    /// No hash map: all homes of a process would double theirs at the same time, each with the old one beside the new.
    entries: BTreeMap<K, (u32, V)>,
    /// By time, in slices. A key that was removed, or has another slice now, may still stand in its old one.
    slices: BTreeMap<u32, Vec<K>>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), slices: BTreeMap::new() }
    }
}

/// The first slice that begins after `millis`.
fn slice_after(millis: i64) -> u32 {
    u32::try_from((millis.max(0) >> SLICE_BITS) + 1).unwrap_or(u32::MAX)
}

fn begin_of(slice: u32) -> i64 {
    i64::from(slice) << SLICE_BITS
}

impl<K: Copy + Ord, V> Remembered<K, V> {
    /// Remembers `key` until `until`, in milliseconds since the epoch, in place of what was known of it.
    pub fn insert(&mut self, key: K, until: i64, value: V) {
        let slice = slice_after(until);
        let before = self.entries.insert(key, (slice, value));
        if before.is_some_and(|(before, _)| before == slice) {
            return;
        }
        match self.slices.entry(slice) {
            Entry::Occupied(mut keys) => keys.get_mut().push(key),
            Entry::Vacant(new) => {
                new.insert(vec![key]);
                // Times come about in their order: not much is added to the slice before any more.
                if let Some((_, before)) = self.slices.range_mut(..slice).next_back() {
                    before.shrink_to_fit();
                }
            }
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// When there may be something to forget.
    pub fn next_due(&self) -> Option<i64> {
        self.slices.first_key_value().map(|(slice, _)| begin_of(*slice))
    }

    /// Forgets something whose time has come.
    pub fn pop_due(&mut self, now: i64) -> Option<(K, V)> {
        loop {
            let mut first = self.slices.first_entry().filter(|first| begin_of(*first.key()) <= now)?;
            let slice = *first.key();
            let Some(key) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            if self.entries.get(&key).is_some_and(|(of, _)| *of == slice)
                && let Some(value) = self.remove(&key)
            {
                return Some((key, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Remembered, SLICE_BITS};

    #[derive(Debug, Clone)]
    enum Step {
        Insert { key: u8, until: i64 },
        Remove { key: u8 },
        Pass { millis: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_u8, 0..60_000_i64).prop_map(|(key, until)| Step::Insert { key, until }),
            (0..20_u8).prop_map(|key| Step::Remove { key }),
            (0..10_000_i64).prop_map(|millis| Step::Pass { millis }),
        ]
    }

    proptest! {
        /// As a map is that is looked through for what is due, but for the few seconds.
        #[test]
        fn nothing_is_forgotten_before_its_time_and_all_is_soon_after(steps in prop::collection::vec(step(), 0..80)) {
            let (mut remembered, mut map, mut now) = (Remembered::default(), BTreeMap::new(), 0);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert { key, until } => {
                        remembered.insert(key, until, number);
                        map.insert(key, (until, number));
                    }
                    Step::Remove { key } => {
                        prop_assert_eq!(remembered.remove(&key), map.remove(&key).map(|(_, number)| number));
                    }
                    Step::Pass { millis } => now += millis,
                }
                while let Some((key, number)) = remembered.pop_due(now) {
                    let (until, of) = map.remove(&key).expect("it was not forgotten before");
                    prop_assert_eq!(number, of);
                    prop_assert!(until < now, "{} at {}", until, now);
                }
                for (key, (until, number)) in &map {
                    prop_assert!(now < until + (1 << SLICE_BITS), "{} at {}", until, now);
                    prop_assert_eq!(remembered.get(key), Some(number));
                }
                prop_assert_eq!(remembered.entries.len(), map.len());
                prop_assert!(map.is_empty() || remembered.next_due().is_some_and(|due| due > now));
            }
        }
    }
}
