//! Telling a group that was rewound from one that goes on.
//!
//! Every commit of ours carries a note, in the metadata that Kafka keeps beside a committed offset. A crash leaves the last
//! commit with its note, so what is read again after it is read again for good. Whoever sets the offsets of a group with
//! any other tool leaves no note: what stands from there up to the end of the partition at that moment is read again on
//! purpose. That range and a name for the rewinding are committed at once, and go on standing in the notes until the range
//! is done: a crash in the middle of it changes neither.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::homes::now_millis;
use crate::record::TopicPartition;

/// Longer than Kafka keeps a transaction of a dead predecessor open: until then its offsets are not told.
const PATIENCE: Duration = Duration::from_secs(30);

/// What stands beside an offset that we have committed.
const NOTE: &str = "prunella";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rewind {
    generation: Arc<str>,
    /// Offset behind the last record that is read again.
    until: i64,
}

/// The rewound partitions of a member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rewinds(Arc<Mutex<HashMap<TopicPartition, Rewind>>>);

impl Rewinds {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TopicPartition, Rewind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rewinding because of which a record is read again.
    pub(crate) fn generation(&self, partition: &TopicPartition, offset: i64) -> Option<Arc<str>> {
        let rewinds = self.lock();
        rewinds.get(partition).filter(|rewind| offset < rewind.until).map(|rewind| rewind.generation.clone())
    }

    pub(crate) fn revoked(&self, partitions: &[TopicPartition]) {
        let mut rewinds = self.lock();
        for partition in partitions {
            rewinds.remove(partition);
        }
    }

    /// Writes the notes of our own commits.
    pub(crate) fn annotate(&self, offsets: &mut TopicPartitionList) {
        if offsets.count() == 0 {
            return;
        }
        let rewinds = self.lock();
        for mut element in offsets.elements() {
            let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
            let next = if let Offset::Offset(next) = element.offset() { next } else { 0 };
            element.set_metadata(note(rewinds.get(&partition), next));
        }
    }

    /// Looks at what the group has committed for partitions that were just assigned, and remembers what was rewound.
    pub(crate) fn assigned<'p, C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        partitions: impl Iterator<Item = &'p TopicPartition>,
    ) -> Result<(), KafkaError> {
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            asked.add_partition(&partition.topic, partition.partition);
        }
        if asked.count() == 0 {
            return Ok(());
        }
        let committed = consumer.committed_offsets(asked, PATIENCE)?;
        let mut fresh = TopicPartitionList::new();
        for element in committed.elements() {
            element.error()?;
            // A group that has committed nothing was not rewound: it begins.
            let Offset::Offset(next) = element.offset() else { continue };
            let partition = TopicPartition { topic: element.topic().into(), partition: element.partition() };
            let found = match parse(element.metadata()) {
                Noted::Ours(found) => found,
                Noted::Foreign => {
                    let (_, end) = consumer.fetch_watermarks(element.topic(), element.partition(), PATIENCE)?;
                    let generation = format!("{}-{next}-{end}", now_millis());
                    tracing::warn!(partition = %partition, from = next, until = end, "the group was rewound: its triggers start new runs");
                    fresh.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(next))?;
                    Some(Rewind { generation: generation.into(), until: end })
                }
            };
            if let Some(rewind) = found.filter(|rewind| next < rewind.until) {
                self.lock().insert(partition, rewind);
            }
        }
        if fresh.count() > 0 {
            self.annotate(&mut fresh);
            consumer.commit(&fresh, CommitMode::Sync)?;
        }
        Ok(())
    }
}

enum Noted {
    Ours(Option<Rewind>),
    Foreign,
}

fn note(rewind: Option<&Rewind>, next: i64) -> String {
    match rewind.filter(|rewind| next < rewind.until) {
        Some(Rewind { generation, until }) => format!("{NOTE} replay {generation} {until}"),
        None => NOTE.to_owned(),
    }
}

fn parse(metadata: &str) -> Noted {
    let mut words = metadata.split(' ');
    if words.next() != Some(NOTE) {
        return Noted::Foreign;
    }
    let (Some("replay"), Some(generation), Some(until)) = (words.next(), words.next(), words.next()) else {
        return Noted::Ours(None);
    };
    let rewind = |until| Rewind { generation: generation.into(), until };
    Noted::Ours(until.parse().ok().map(rewind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_is_left_of_a_rewinding_and_no_note_is_somebody_elses() {
        let rewind = Rewind { generation: "g-1".into(), until: 10 };
        let read = |metadata: &str| match parse(metadata) {
            Noted::Ours(found) => Some(found),
            Noted::Foreign => None,
        };
        assert_eq!(read(&note(Some(&rewind), 9)), Some(Some(rewind.clone())));
        assert_eq!(read(&note(Some(&rewind), 10)), Some(None), "the range is done");
        assert_eq!(read(&note(None, 0)), Some(None));
        for foreign in ["", "x", "prunellas"] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
        assert_eq!(read("prunella of a later release"), Some(None));
    }

    #[test]
    fn records_of_the_range_belong_to_the_rewinding_and_later_ones_do_not() {
        let rewinds = Rewinds::default();
        let partition = TopicPartition { topic: "t".into(), partition: 1 };
        rewinds.lock().insert(partition.clone(), Rewind { generation: "g".into(), until: 5 });
        assert_eq!(rewinds.generation(&partition, 4).as_deref(), Some("g"));
        assert_eq!(rewinds.generation(&partition, 5), None);
        let other = TopicPartition { topic: "t".into(), partition: 2 };
        assert_eq!(rewinds.generation(&other, 0), None);
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("t", 1, Offset::Offset(3)).expect("added");
        offsets.add_partition_offset("t", 2, Offset::Offset(3)).expect("added");
        rewinds.annotate(&mut offsets);
        let notes: Vec<String> = offsets.elements().iter().map(|element| element.metadata().to_owned()).collect();
        assert_eq!(notes, ["prunella replay g 5", "prunella"]);
        rewinds.revoked(std::slice::from_ref(&partition));
        assert_eq!(rewinds.generation(&partition, 4), None);
    }
}
