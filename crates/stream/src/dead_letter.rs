use std::sync::Arc;

use bytes::Bytes;
use prunella_model::Code;
use prunella_wire::{Headers, names};

use crate::record::{OutRecord, Record};

/// Longest error message in a header; the rest is in the logs.
const LONGEST_MESSAGE: usize = 1024;

/// A record or item that could not be saved: key, value and headers byte for byte, and what went wrong.
pub struct DeadLetter {
    headers: Headers,
}

impl DeadLetter {
    /// `stage` failed with `code`. `group` is the consumer group that gave up.
    pub fn new(record: &Record, stage: &str, group: &str, code: Code, message: &str, now: i64) -> Self {
        let mut headers = record.headers.clone();
        let message = truncate(message, LONGEST_MESSAGE);
        headers.push(names::DEAD_STAGE, stage.to_owned());
        headers.push(names::DEAD_CODE, code.id());
        headers.push(names::DEAD_MESSAGE, message.to_owned());
        headers.push(names::DEAD_TOPIC, record.source.topic.to_string());
        headers.push_number(names::DEAD_PARTITION, i64::from(record.source.partition));
        headers.push_number(names::DEAD_OFFSET, record.offset);
        headers.push_number(names::DEAD_TIMESTAMP, record.timestamp);
        headers.push(names::DEAD_KEY_PRESENT, if record.key.is_some() { "true" } else { "false" });
        headers.push(names::DEAD_GROUP, group.to_owned());
        headers.push_number(names::DEAD_FAILED_AT, now);
        headers.push(names::CONNECT_TOPIC, record.source.topic.to_string());
        headers.push_number(names::CONNECT_PARTITION, i64::from(record.source.partition));
        headers.push_number(names::CONNECT_OFFSET, record.offset);
        headers.push(names::CONNECT_STAGE, stage.to_owned());
        headers.push(names::CONNECT_CLASS, code.id());
        headers.push(names::CONNECT_MESSAGE, message.to_owned());
        Self { headers }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The letter for the whole record.
    pub fn of_record(self, topic: impl Into<Arc<str>>, record: &Record) -> OutRecord {
        self.of_item(topic, record.key.clone(), record.value.clone())
    }

    /// The letter for one item that the record carried.
    pub fn of_item(self, topic: impl Into<Arc<str>>, key: Option<Bytes>, value: Option<Bytes>) -> OutRecord {
        OutRecord { topic: topic.into(), partition: None, key, value, headers: self.headers }
    }
}

/// At most `limit` bytes of `text`, cut between characters.
fn truncate(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offsets::AssignmentEpoch;
    use crate::record::TopicPartition;

    #[test]
    fn keeps_the_record_and_says_in_two_families_what_went_wrong() {
        let record = Record {
            source: TopicPartition { topic: "trigger".into(), partition: 3 },
            offset: 42,
            timestamp: 7,
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"\xff\xfe")),
            headers: Headers::new().with("mine", "kept"),
            epoch: AssignmentEpoch::new(1),
            sequence: 0,
            replay: None,
        };
        let message = "ä".repeat(LONGEST_MESSAGE);
        let letter = DeadLetter::new(&record, "orchestrator", "group", Code::TriggerNotJson, &message, 9)
            .of_record("dead", &record);
        assert_eq!((letter.key, letter.value), (record.key, record.value));
        for (name, expected) in [
            ("mine", "kept"),
            (names::DEAD_STAGE, "orchestrator"),
            (names::DEAD_CODE, "PRN-0701"),
            (names::DEAD_TOPIC, "trigger"),
            (names::DEAD_PARTITION, "3"),
            (names::DEAD_OFFSET, "42"),
            (names::DEAD_TIMESTAMP, "7"),
            (names::DEAD_KEY_PRESENT, "true"),
            (names::DEAD_GROUP, "group"),
            (names::DEAD_FAILED_AT, "9"),
            (names::CONNECT_TOPIC, "trigger"),
            (names::CONNECT_PARTITION, "3"),
            (names::CONNECT_OFFSET, "42"),
            (names::CONNECT_STAGE, "orchestrator"),
            (names::CONNECT_CLASS, "PRN-0701"),
        ] {
            assert_eq!(letter.headers.text(name), Some(expected), "{name}");
        }
        let kept = letter.headers.text(names::DEAD_MESSAGE).expect("valid UTF-8");
        assert_eq!(kept.len(), LONGEST_MESSAGE);
    }
}
