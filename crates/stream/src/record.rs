use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use prunella_wire::Headers;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::offsets::AssignmentEpoch;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// Where a record stands, and under which assignment of its partition it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) source: TopicPartition,
    pub(crate) epoch: AssignmentEpoch,
    pub(crate) offset: i64,
    /// Place among the records taken under this assignment, without gaps.
    pub(crate) sequence: u64,
}

/// A record taken from Kafka. Payload and key are copied once, out of librdkafka's buffer.
#[derive(Debug, Clone)]
pub struct Record {
    pub source: TopicPartition,
    pub offset: i64,
    /// Milliseconds since the epoch; 0 when the broker gave none.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Headers,
    pub epoch: AssignmentEpoch,
    /// Place among the records taken under this assignment of the partition, without gaps.
    pub sequence: u64,
    /// The rewinding of its group because of which it is read again, if it is.
    pub replay: Option<Arc<str>>,
}

impl Record {
    pub(crate) fn from_message(message: &BorrowedMessage<'_>, topic: Arc<str>, epoch: AssignmentEpoch) -> Self {
        Self {
            source: TopicPartition { topic, partition: message.partition() },
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(0),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: copy_headers(message),
            epoch,
            // Known once the assignment has taken it.
            sequence: 0,
            replay: None,
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position { source: self.source.clone(), epoch: self.epoch, offset: self.offset, sequence: self.sequence }
    }

    /// Bytes held by this record.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }

    /// `topic[partition]@offset`, for messages.
    pub fn place(&self) -> String {
        format!("{}@{}", self.source, self.offset)
    }
}

pub(crate) fn copy_headers(message: &BorrowedMessage<'_>) -> Headers {
    let mut headers = Headers::new();
    if let Some(found) = message.headers() {
        for header in found.iter() {
            match header.value {
                Some(value) => headers.push(header.key, Bytes::copy_from_slice(value)),
                None => headers.push_null(header.key),
            }
        }
    }
    headers
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct OutRecord {
    pub topic: Arc<str>,
    /// `None`: by key, as the Java client would.
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    /// `None` is a tombstone.
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl OutRecord {
    pub fn new(topic: impl Into<Arc<str>>, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Headers::new(),
        }
    }

    pub fn tombstone(topic: impl Into<Arc<str>>, key: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), partition: None, key: Some(key.into()), value: None, headers: Headers::new() }
    }

    #[must_use]
    pub fn to_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }
}
