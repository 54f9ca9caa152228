use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use prunella_model::RunKey;

/// Entries that are due within the same four seconds are due together, at the end of them.
const SLICE_BITS: u32 = 12;
/// Entries side by side in one piece of memory.
const LEAF: usize = 128;

/// What `Remembered` finds an entry by. Its prefix stands for it where there is no room for more.
pub trait RememberedKey: Copy + Ord {
    /// Never smaller than that of a smaller key.
    fn prefix(&self) -> u32;

    /// The smallest key there can be with this prefix.
    fn least(prefix: u32) -> Self;
}

impl RememberedKey for RunKey {
    fn prefix(&self) -> u32 {
        RunKey::prefix(*self)
    }

    fn least(prefix: u32) -> Self {
        RunKey::least(prefix)
    }
}

#[derive(Debug)]
struct Kept<K, V> {
    key: K,
    slice: u32,
    value: V,
}

/// What is over and has to be recognised for hours or days: so much of it that every byte counts.
/// An entry is forgotten some seconds after its time, never before.
#[derive(Debug)]
pub struct Remembered<K, V> {
    /// Sorted, each under a key that is not greater than those in it. Maps with an entry to a place are half empty for
    /// most of their lives, and a hash map has the old one beside the new while it grows.
    leaves: BTreeMap<K, Vec<Kept<K, V>>>,
    /// Prefixes of keys by time, in slices. What was removed, or has another slice now, may still stand in its old one.
    slices: BTreeMap<u32, Vec<u32>>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self { leaves: BTreeMap::new(), slices: BTreeMap::new() }
    }
}

/// The first slice that begins after `millis`.
fn slice_after(millis: i64) -> u32 {
    u32::try_from((millis.max(0) >> SLICE_BITS) + 1).unwrap_or(u32::MAX)
}

fn begin_of(slice: u32) -> i64 {
    i64::from(slice) << SLICE_BITS
}

/// Adds an element at `place`, with hardly any room to spare.
fn insert_tightly<T>(list: &mut Vec<T>, place: usize, element: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 8 + 1);
    }
    list.insert(place, element);
}

impl<K: RememberedKey, V> Remembered<K, V> {
    /// Remembers `key` until `until`, in milliseconds since the epoch, in place of what was known of it.
    pub fn insert(&mut self, key: K, until: i64, value: V) {
        let slice = slice_after(until);
        let before = self.put(Kept { key, slice, value });
        if before.is_some_and(|before| before.slice == slice) {
            return;
        }
        match self.slices.entry(slice) {
            Entry::Occupied(mut keys) => keys.get_mut().push(key.prefix()),
            Entry::Vacant(new) => {
                new.insert(vec![key.prefix()]);
                // Times come about in their order: not much is added to the slice before any more.
                if let Some((_, before)) = self.slices.range_mut(..slice).next_back() {
                    before.shrink_to_fit();
                }
            }
        }
    }

    /// Puts an entry in its place, and returns the one that was there.
    fn put(&mut self, kept: Kept<K, V>) -> Option<Kept<K, V>> {
        let Some((_, leaf)) = self.leaves.range_mut(..=kept.key).next_back() else {
            self.leaves.insert(K::least(0), vec![kept]);
            return None;
        };
        match leaf.binary_search_by_key(&kept.key, |kept| kept.key) {
            Ok(place) => return Some(std::mem::replace(&mut leaf[place], kept)),
            Err(place) => insert_tightly(leaf, place, kept),
        }
        if leaf.len() > LEAF {
            let greater = leaf.split_off(LEAF / 2);
            leaf.shrink_to_fit();
            self.leaves.insert(greater[0].key, greater);
        }
        None
    }

    fn find(&self, key: &K) -> Option<&Kept<K, V>> {
        let (_, leaf) = self.leaves.range(..=key).next_back()?;
        let place = leaf.binary_search_by_key(key, |kept| kept.key).ok()?;
        Some(&leaf[place])
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.find(key).map(|kept| &kept.value)
    }

    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (bound, leaf) = self.leaves.range_mut(..=key).next_back()?;
        let place = leaf.binary_search_by_key(key, |kept| kept.key).ok()?;
        let kept = leaf.remove(place);
        if leaf.is_empty() {
            let bound = *bound;
            self.leaves.remove(&bound);
        } else if leaf.len() < leaf.capacity() / 2 {
            leaf.shrink_to_fit();
        }
        Some(kept.value)
    }

    /// A key with this prefix that is due with the slice.
    fn of_slice(&self, prefix: u32, slice: u32) -> Option<K> {
        let least = K::least(prefix);
        let first = self.leaves.range(..=least).next_back().map_or(least, |(bound, _)| *bound);
        let kept =
            self.leaves.range(first..).flat_map(|(_, leaf)| &leaf[leaf.partition_point(|kept| kept.key < least)..]);
        kept.take_while(|kept| kept.key.prefix() == prefix).find(|kept| kept.slice == slice).map(|kept| kept.key)
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
            let Some(prefix) = first.get_mut().pop() else {
                first.remove();
                continue;
            };
            if let Some(key) = self.of_slice(prefix, slice)
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

    use super::{LEAF, Remembered, RememberedKey, SLICE_BITS};

    /// Four keys have the same prefix.
    impl RememberedKey for u16 {
        fn prefix(&self) -> u32 {
            u32::from(*self) / 4
        }

        fn least(prefix: u32) -> Self {
            u16::try_from(prefix * 4).expect("a prefix of a key")
        }
    }

    /// Enough for several leaves.
    const KEYS: u16 = 600;

    #[derive(Debug, Clone)]
    enum Step {
        Insert { first: u16, keys: u16, until: i64 },
        Remove { first: u16, keys: u16 },
        Pass { millis: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let keys = || (0..KEYS, prop_oneof![0..3_u16, 0..300_u16]);
        prop_oneof![
            (keys(), 0..60_000_i64).prop_map(|((first, keys), until)| Step::Insert { first, keys, until }),
            keys().prop_map(|(first, keys)| Step::Remove { first, keys }),
            (0..10_000_i64).prop_map(|millis| Step::Pass { millis }),
        ]
    }

    /// Far apart from each other, and around from the end to the beginning.
    fn all(first: u16, keys: u16) -> impl Iterator<Item = u16> {
        (0..keys).map(move |number| (first + number * 7) % KEYS)
    }

    proptest! {
        /// As a map is that is looked through for what is due, but for the few seconds.
        #[test]
        fn nothing_is_forgotten_before_its_time_and_all_is_soon_after(steps in prop::collection::vec(step(), 0..80)) {
            let (mut remembered, mut map, mut now) = (Remembered::default(), BTreeMap::new(), 0);
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert { first, keys, until } => {
                        for key in all(first, keys) {
                            remembered.insert(key, until, number);
                            map.insert(key, (until, number));
                        }
                    }
                    Step::Remove { first, keys } => {
                        for key in all(first, keys) {
                            prop_assert_eq!(remembered.remove(&key), map.remove(&key).map(|(_, number)| number));
                        }
                    }
                    Step::Pass { millis } => now += millis,
                }
                while let Some((key, number)) = remembered.pop_due(now) {
                    let (until, of) = map.remove(&key).expect("it was not forgotten before");
                    prop_assert_eq!(number, of);
                    prop_assert!(until < now, "{} at {}", until, now);
                }
                for (until, _) in map.values() {
                    prop_assert!(now < until + (1 << SLICE_BITS), "{} at {}", until, now);
                }
                for key in 0..KEYS {
                    prop_assert_eq!(remembered.get(&key), map.get(&key).map(|(_, number)| number));
                }
                let leaves = remembered.leaves.values();
                prop_assert!(leaves.clone().all(|leaf| !leaf.is_empty() && leaf.len() <= LEAF));
                prop_assert_eq!(leaves.map(Vec::len).sum::<usize>(), map.len());
                prop_assert!(map.is_empty() || remembered.next_due().is_some_and(|due| due > now));
            }
        }
    }

    #[test]
    fn hardly_any_memory_is_held_for_what_is_not_there() {
        let mut remembered = Remembered::default();
        for key in all(0, KEYS) {
            remembered.insert(key, 0, ());
        }
        let room = |remembered: &Remembered<u16, ()>| remembered.leaves.values().map(Vec::capacity).sum::<usize>();
        assert!(room(&remembered) <= usize::from(KEYS) * 9 / 8, "{} places", room(&remembered));
        for key in all(0, KEYS * 9 / 10) {
            remembered.remove(&key);
        }
        assert!(room(&remembered) <= usize::from(KEYS) / 4, "{} places", room(&remembered));
    }
}
