//! What is kept of mappings, as their changelogs tell it.

use bytes::Bytes;

use prunella_catalog::mapping_of;
use prunella_wire::records::{MappingProfile, MappingSample, ParkedBatch};

use super::MappingHome;
use crate::service::{MAPPINGS, PARKED, SAMPLES};

impl MappingHome {
    /// Takes a record of one of its changelogs; without value it is a tombstone.
    pub(super) async fn take(&mut self, topic: usize, key: &str, value: Option<Bytes>) -> Result<(), String> {
        let codec = self.workshop.deps.platform().codec.clone();
        let unreadable = |error: prunella_wire::WireError| error.to_string();
        match (topic, value) {
            (MAPPINGS, value) => {
                let mapping = mapping_of(key).ok_or("the key names no mapping")?;
                self.kept(&mapping).history.apply(&codec, key, value.as_deref()).await.map_err(unreadable)?;
            }
            (SAMPLES, Some(value)) => {
                let Some(value) = self.unsealed(SAMPLES, key, &value) else { return Ok(()) };
                let opened = codec.open(&value).await.map_err(unreadable)?;
                if opened.is::<MappingProfile>() {
                    self.profiled(opened.read().map_err(unreadable)?);
                    return Ok(());
                }
                let sample: MappingSample = opened.read().map_err(unreadable)?;
                self.kept(&sample.mapping.clone()).samples.insert(sample.slot, sample);
            }
            (PARKED, Some(value)) => {
                let Some(value) = self.unsealed(PARKED, key, &value) else { return Ok(()) };
                let batch: ParkedBatch = codec.decode(&value).await.map_err(unreadable)?;
                let workshop = self.workshop.clone();
                let kept = self.kept(&batch.mapping.clone());
                if batch.driven_with == 0 {
                    kept.driven.remove(key);
                    kept.waiting.park(batch, 0, &workshop.deps.settings);
                } else {
                    kept.waiting.remove(key);
                    kept.driven.insert(key.to_owned(), batch);
                }
            }
            (topic, None) if self.locked.remove(&(topic, key.to_owned())).is_some() => {}
            (PARKED, None) => self.mappings.values_mut().for_each(|kept| {
                kept.driven.remove(key);
                kept.waiting.remove(key);
            }),
            _ => self.forgotten(key),
        }
        Ok(())
    }
}
