//! State that holds data, as it stands on its topics.

use prunella_stream::OutRecord;
use prunella_vault::Place;

use super::MappingHome;
use crate::records::{PARKED_STORE, SAMPLES_STORE};
use crate::service::PARKED;

impl MappingHome {
    /// A value of a changelog, as it was before it was sealed; `None` when it cannot be opened. A later one with the same key
    /// takes its place, so that is not the end of it.
    pub(super) fn unsealed(&mut self, topic: usize, key: &str, value: &[u8]) -> Option<Vec<u8>> {
        let store = if topic == PARKED { PARKED_STORE } else { SAMPLES_STORE };
        let place = (topic, key.to_owned());
        match self.workshop.deps.platform().vault.open(Place { store, key: key.as_bytes() }, value) {
            Ok(opened) => {
                self.locked.remove(&place);
                if opened.is_stale {
                    self.stale.insert(place);
                } else {
                    self.stale.remove(&place);
                }
                Some(opened.value.to_vec())
            }
            Err(error) => {
                self.locked.insert(place, error);
                None
            }
        }
    }

    /// What was sealed with an old key, or not at all, sealed with the one of today.
    pub(super) fn sealed_anew(&mut self) -> Vec<OutRecord> {
        let stale = std::mem::take(&mut self.stale);
        let mut records = Vec::new();
        for (topic, key) in stale {
            let sample = || self.mappings.values().flat_map(|kept| kept.samples.values()).find(|it| it.key() == key);
            let parked = || self.mappings.values().find_map(|kept| kept.waiting.batches.get(&key));
            let record = match topic {
                PARKED => parked().map(|batch| self.writer.parked(&key, batch)),
                _ => sample()
                    .map(|sample| self.writer.sample(sample))
                    .or_else(|| self.profile(&key).map(|profile| self.writer.profile(&profile))),
            };
            match record {
                Some(Ok(record)) => records.push(record),
                Some(Err(error)) => tracing::error!(key, error = %error.message, "state could not be sealed anew"),
                // Deleted since.
                None => {}
            }
        }
        records
    }
}
