use super::split_key;
use crate::machine::Run;
use crate::records::RecordWriter;

/// The records of one run as they stand on `state.runs`, in one piece of memory: a home may know a million runs
/// that wait for something, and all that most of them need is a due time.
///
/// Record after record: length of the suffix (u16), length of the value (u32), suffix, value. The suffix is what
/// follows the run id in the key.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PackedRun(Vec<u8>);

const LENGTHS: usize = size_of::<u16>() + size_of::<u32>();

impl PackedRun {
    /// `None` when a record of it cannot be written; the run is then kept as it is.
    pub(super) fn of(run: &Run, writer: &RecordWriter) -> Option<Self> {
        let mut packed = Self::default();
        for record in writer.state_of(run).ok()? {
            let (key, value) = (record.key?, record.value?);
            packed.put(split_key(&key)?.1, &value);
        }
        Some(packed)
    }

    /// Takes a record in, in place of the one with the same suffix.
    pub(super) fn put(&mut self, suffix: &str, value: &[u8]) {
        self.remove(suffix);
        // Keys of Kafka records are shorter than 64 KiB and values than 2 GiB: the broker and the client see to it.
        let lengths = (u16::try_from(suffix.len()), u32::try_from(value.len()));
        let (Ok(suffix_length), Ok(value_length)) = lengths else { return };
        self.0.reserve_exact(LENGTHS + suffix.len() + value.len());
        self.0.extend_from_slice(&suffix_length.to_le_bytes());
        self.0.extend_from_slice(&value_length.to_le_bytes());
        self.0.extend_from_slice(suffix.as_bytes());
        self.0.extend_from_slice(value);
    }

    pub(super) fn remove(&mut self, suffix: &str) {
        let mut at = 0;
        while let Some((found, _, length)) = record(&self.0[at..]) {
            if found == suffix {
                self.0.drain(at..at + length);
                return;
            }
            at += length;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// (suffix, value) of each record.
    pub(super) fn records(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (suffix, value, length) = record(rest)?;
            rest = &rest[length..];
            Some((suffix, value))
        })
    }
}

/// The first record of `bytes`, and how long it is with its lengths.
fn record(bytes: &[u8]) -> Option<(&str, &[u8], usize)> {
    let (suffix_length, rest) = bytes.split_first_chunk()?;
    let (value_length, rest) = rest.split_first_chunk()?;
    let (suffix_length, value_length) =
        (usize::from(u16::from_le_bytes(*suffix_length)), u32::from_le_bytes(*value_length) as usize);
    let (suffix, rest) = rest.split_at_checked(suffix_length)?;
    let value = rest.get(..value_length)?;
    Some((std::str::from_utf8(suffix).ok()?, value, LENGTHS + suffix_length + value_length))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::PackedRun;

    proptest! {
        /// Whatever is put and removed, the last of each suffix is there, as in a map.
        #[test]
        fn it_is_a_map(changes in prop::collection::vec(
            ("(/[a-c](/[0-9]){0,2})?", prop::option::of(prop::collection::vec(any::<u8>(), 0..20))), 0..30,
        )) {
            let (mut packed, mut map) = (PackedRun::default(), BTreeMap::new());
            for (suffix, value) in &changes {
                if let Some(value) = value {
                    packed.put(suffix, value);
                    map.insert(suffix.as_str(), value.as_slice());
                } else {
                    packed.remove(suffix);
                    map.remove(suffix.as_str());
                }
            }
            prop_assert_eq!(packed.is_empty(), map.is_empty());
            prop_assert_eq!(packed.records().count(), map.len());
            prop_assert_eq!(packed.records().collect::<BTreeMap<_, _>>(), map);
        }
    }
}
