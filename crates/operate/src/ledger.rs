use std::collections::{BTreeMap, HashMap};

use prunella_stream::restore_partitions;
use prunella_wire::ControlRecord;
use prunella_wire::records::{LetterMark, ReplayProgress};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::letters::LetterPlace;

/// What `state.operations` says: decisions about dead letters, and replays.
#[derive(Debug, Default)]
pub struct Ledger {
    pub marks: HashMap<LetterPlace, LetterMark>,
    pub replays: BTreeMap<String, ReplayProgress>,
}

pub(crate) fn letter_key(place: &LetterPlace) -> String {
    format!("letter/{place}")
}

pub(crate) fn replay_key(id: &str) -> String {
    format!("replay/{id}")
}

impl Ledger {
    /// Reads it whole, once every transaction that wrote to it is decided.
    ///
    /// # Errors
    /// [`OperateError`] when the topic cannot be read. Records of a type that this release does not know are left alone.
    pub async fn read(desk: &Desk) -> Result<Self, OperateError> {
        let mut ledger = Self::default();
        let mut records = restore_partitions(&desk.kafka, &desk.topics.state_operations(), &[0])?;
        while let Some(chunk) = records.recv().await {
            for record in chunk? {
                let Some(value) = record.value else {
                    ledger.forget(&record.key);
                    continue;
                };
                let opened = desk.codec.open(&value).await?;
                if opened.name() == LetterMark::NAME {
                    let mark: LetterMark = opened.read()?;
                    ledger.marks.insert(LetterPlace::of_mark(&mark), mark);
                } else if opened.name() == ReplayProgress::NAME {
                    let replay: ReplayProgress = opened.read()?;
                    ledger.replays.insert(replay.id.clone(), replay);
                }
            }
        }
        Ok(ledger)
    }

    fn forget(&mut self, key: &[u8]) {
        let Ok(key) = std::str::from_utf8(key) else { return };
        if let Some(place) = key.strip_prefix("letter/").and_then(|place| place.parse().ok()) {
            self.marks.remove(&place);
        } else if let Some(id) = key.strip_prefix("replay/") {
            self.replays.remove(id);
        }
    }
}
