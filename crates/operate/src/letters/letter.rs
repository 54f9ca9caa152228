use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use prunella_stream::TailedRecord;
use prunella_wire::records::LetterMark;
use prunella_wire::{Headers, names};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};
use crate::scan::Scan;

/// Where a dead letter stands: `topic/partition/offset`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterPlace {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl LetterPlace {
    pub(crate) fn of_mark(mark: &LetterMark) -> Self {
        Self { topic: mark.topic.clone(), partition: mark.partition, offset: mark.offset }
    }
}

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for LetterPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SHAPE: &str = "expected name/partition/offset, such as orders/2/17";
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|part| part.parse().ok()).ok_or(SHAPE)?;
        let partition = parts.next().and_then(|part| part.parse().ok()).ok_or(SHAPE)?;
        let topic = parts.next().filter(|topic| !topic.is_empty()).ok_or(SHAPE)?;
        Ok(Self { topic: topic.to_owned(), partition, offset })
    }
}

/// Where the record of a letter stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp: i64,
}

/// A dead letter, with what its headers say.
#[derive(Debug, Clone)]
pub struct Letter {
    pub place: LetterPlace,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    /// When it was given up, in milliseconds.
    pub failed_at: i64,
    pub original: Option<Original>,
}

impl Letter {
    pub(crate) fn of(topic: &str, record: TailedRecord) -> Self {
        let headers = record.headers;
        let number = |name: &str| headers.text(name).and_then(|text| text.parse::<i64>().ok());
        let original = || {
            Some(Original {
                topic: headers.text(names::DEAD_TOPIC)?.to_owned(),
                partition: i32::try_from(number(names::DEAD_PARTITION)?).ok()?,
                offset: number(names::DEAD_OFFSET)?,
                timestamp: number(names::DEAD_TIMESTAMP).unwrap_or(0),
            })
        };
        Self {
            place: LetterPlace { topic: topic.to_owned(), partition: record.partition, offset: record.offset },
            failed_at: number(names::DEAD_FAILED_AT).unwrap_or(record.timestamp),
            original: original(),
            key: record.key,
            value: record.value,
            headers,
        }
    }

    fn text(&self, name: &str) -> &str {
        self.headers.text(name).unwrap_or_default()
    }

    pub fn code(&self) -> &str {
        self.text(names::DEAD_CODE)
    }

    pub fn message(&self) -> &str {
        self.text(names::DEAD_MESSAGE)
    }

    pub fn stage(&self) -> &str {
        self.text(names::DEAD_STAGE)
    }

    pub fn step(&self) -> Option<&str> {
        self.headers.text(names::DEAD_STEP)
    }

    pub fn run(&self) -> Option<&str> {
        self.headers.text(names::RUN)
    }

    /// The item that failed, `run/step/attempt/batch/item`, when it is not a whole record.
    pub fn item(&self) -> Option<&str> {
        self.headers.text(names::ITEM)
    }

    /// The letters that this one has come of by redriving, first to last, each with its code, time and actor.
    pub fn redrives(&self) -> impl Iterator<Item = &str> {
        let values = self.headers.iter().filter(|(name, _)| *name == names::REDRIVE_OF);
        values.filter_map(|(_, value)| std::str::from_utf8(value?).ok())
    }

    /// The letter that this one has come of, if it was redriven before.
    pub fn came_of(&self) -> Option<LetterPlace> {
        self.redrives().last().and_then(redriven_place)
    }
}

/// The letter that a value of `prunella-redrive-of` names.
pub(crate) fn redriven_place(header: &str) -> Option<LetterPlace> {
    header.split(' ').next()?.parse().ok()
}

/// The letters of a topic, one after the other.
pub struct Letters {
    topic: String,
    scan: Scan,
}

impl Letters {
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn read(desk: &Desk, offsets: &Offsets, topic: &str) -> Result<Self, OperateError> {
        let scan = Scan::whole(&desk.kafka, offsets, topic).await?;
        Ok(Self { topic: topic.to_owned(), scan })
    }

    pub async fn next(&mut self) -> Option<Letter> {
        let record = self.scan.next().await?;
        Some(Letter::of(&self.topic, record))
    }

    /// The one letter at `place`.
    ///
    /// # Errors
    /// [`OperateError::LetterUnknown`] when there is none any more, or never was.
    pub async fn one(desk: &Desk, offsets: &Offsets, place: &LetterPlace) -> Result<Letter, OperateError> {
        let unknown = |reason| OperateError::LetterUnknown { id: place.to_string(), reason };
        let bounds = offsets.bounds(&place.topic).await?.ok_or_else(|| unknown("its topic does not exist"))?;
        let known = bounds.get(&place.partition).ok_or_else(|| unknown("its topic has no such partition"))?;
        if place.offset < known.first {
            return Err(unknown("Kafka has removed it, its retention is over"));
        }
        let range = Bounds { first: place.offset, end: place.offset.saturating_add(1).min(known.end) };
        let mut scan = Scan::ranges(&desk.kafka, &place.topic, [(place.partition, range)].into()).await?;
        let record = scan.next().await.filter(|record| record.offset == place.offset);
        Ok(Letter::of(&place.topic, record.ok_or_else(|| unknown("nothing stands there"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place: LetterPlace = "prunella.deadletter.default.orders/2/17".parse().expect("a place");
        assert_eq!(
            (place.topic.as_str(), place.partition, place.offset),
            ("prunella.deadletter.default.orders", 2, 17)
        );
        assert_eq!(place.to_string(), "prunella.deadletter.default.orders/2/17");
        for wrong in ["", "orders", "orders/1", "orders/x/1", "/1/2"] {
            assert!(wrong.parse::<LetterPlace>().is_err(), "{wrong}");
        }
        assert_eq!(redriven_place("a/0/1 PRN-0602 2026-11-21T10:00:00Z ada"), "a/0/1".parse().ok());
    }
}
