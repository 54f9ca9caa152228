use std::collections::HashSet;

use jiff::Timestamp;

use prunella_wire::{Headers, names};

use super::letter::Letter;

/// What a dead letter adds to the headers of a record.
const ADDED: [&str; 25] = [
    names::DEAD_STAGE,
    names::DEAD_STEP,
    names::DEAD_CODE,
    names::DEAD_MESSAGE,
    names::DEAD_FIELDS,
    names::DEAD_OUTPUT,
    names::DEAD_ATTEMPTS,
    names::DEAD_TOPIC,
    names::DEAD_PARTITION,
    names::DEAD_OFFSET,
    names::DEAD_TIMESTAMP,
    names::DEAD_KEY_PRESENT,
    names::DEAD_GROUP,
    names::DEAD_FAILED_AT,
    names::CONNECT_TOPIC,
    names::CONNECT_PARTITION,
    names::CONNECT_OFFSET,
    names::CONNECT_STAGE,
    names::CONNECT_CLASS,
    names::CONNECT_MESSAGE,
    names::RUN,
    names::ITEM,
    names::WORKFLOW,
    names::STREAM,
    names::SOURCE,
];

/// The headers that the record had before it became a letter: of each header that a letter adds, the last is left out.
pub(super) fn original_headers(letter: &Letter) -> Headers {
    let mut added: HashSet<&str> = ADDED.into_iter().collect();
    let all: Vec<_> = letter.headers.iter().collect();
    let mut kept: Vec<_> = all.into_iter().rev().filter(|(name, _)| !added.remove(name)).collect();
    kept.reverse();
    let mut headers = Headers::with_capacity(kept.len() + 2);
    for (name, value) in kept {
        match value {
            Some(value) => headers.push(name, value.clone()),
            None => headers.push_null(name),
        }
    }
    headers
}

/// What a redriven record carries of its letter.
pub(super) fn redrive_of(letter: &Letter, actor: &str, now: i64) -> String {
    let time = Timestamp::from_millisecond(now).map_or_else(|_| now.to_string(), |time| time.to_string());
    format!("{} {} {time} {actor}", letter.place, letter.code())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use prunella_model::Code;
    use prunella_stream::{AssignmentEpoch, DeadLetter, Record, TailedRecord, TopicPartition};

    use super::*;

    #[test]
    fn a_record_has_its_own_headers_back_and_those_of_a_foreign_dead_letter_queue_too() {
        let mut given = Headers::new().with("mine", "1").with(names::CONNECT_TOPIC, "theirs").with("mine", "2");
        given.push_null("nothing");
        let record = Record {
            source: TopicPartition { topic: "trigger".into(), partition: 1 },
            offset: 2,
            timestamp: 3,
            key: None,
            value: Some(Bytes::from_static(b"x")),
            headers: given.clone(),
            epoch: AssignmentEpoch::new(0),
            sequence: 0,
            replay: None,
        };
        let written = DeadLetter::new(&record, "orchestrator", "group", Code::TriggerNotJson, "bad", 4)
            .with(names::DEAD_ATTEMPTS, "1")
            .of_record("dead", &record);
        let (key, value, headers) = (written.key, written.value, written.headers);
        let read = TailedRecord { partition: 0, offset: 9, timestamp: 5, key, value, headers };
        let letter = Letter::of("dead", read);
        assert_eq!(original_headers(&letter), given);
        assert_eq!(letter.original.as_ref().map(|original| original.offset), Some(2));
        assert_eq!((letter.code(), letter.stage(), letter.failed_at), ("PRN-0701", "orchestrator", 4));
        assert_eq!(redrive_of(&letter, "ada", 0), "dead/0/9 PRN-0701 1970-01-01T00:00:00Z ada");
    }
}
