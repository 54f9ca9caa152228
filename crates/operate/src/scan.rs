use std::collections::{BTreeMap, BTreeSet};

use prunella_stream::{KafkaSettings, Tail, TailFrom, Tailed, TailedRecord};

use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};

/// Reads ranges of offsets of a topic, in order per partition, and then ends.
pub struct Scan {
    tail: Option<Tail>,
    ranges: BTreeMap<i32, Bounds>,
    /// Partitions whose range has not been read to its end.
    open: BTreeSet<i32>,
}

impl Scan {
    /// Everything that is in `topic` now; nothing when there is no such topic.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn whole(kafka: &KafkaSettings, offsets: &Offsets, topic: &str) -> Result<Self, OperateError> {
        let ranges = offsets.bounds(topic).await?.unwrap_or_default();
        Self::ranges(kafka, topic, ranges).await
    }

    /// Of every partition the records of its range; of partitions without a range nothing.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn ranges(
        kafka: &KafkaSettings,
        topic: &str,
        ranges: BTreeMap<i32, Bounds>,
    ) -> Result<Self, OperateError> {
        let ranges: BTreeMap<i32, Bounds> =
            ranges.into_iter().filter(|(_, bounds)| bounds.first < bounds.end).collect();
        let open: BTreeSet<i32> = ranges.keys().copied().collect();
        let starts = ranges.iter().map(|(partition, bounds)| (*partition, bounds.first)).collect();
        let tail = match open.is_empty() {
            true => None,
            false => Some(Tail::start(kafka, topic, TailFrom::Only(starts)).await?),
        };
        Ok(Self { tail, ranges, open })
    }

    /// The next record; `None` at the end.
    pub async fn next(&mut self) -> Option<TailedRecord> {
        while !self.open.is_empty() {
            let record = match self.tail.as_mut()?.next().await? {
                Tailed::Record(record) => record,
                // Markers of transactions may stand where the last records seem to be missing.
                Tailed::CaughtUp => break,
            };
            let Some(range) = self.ranges.get(&record.partition) else { continue };
            if record.offset + 1 >= range.end {
                self.open.remove(&record.partition);
            }
            if record.offset < range.end {
                return Some(record);
            }
        }
        self.tail = None;
        None
    }
}
