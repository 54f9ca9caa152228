//! Counts what a measurement has written, and compares what is known.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::client::{consumer, watermarks};
use crate::documents::order_number;
use crate::error::{BenchError, Result};
use crate::json::same_json;
use crate::variant::Guarantee;

/// Where a topic ended before a measurement.
pub(crate) struct Marks {
    topic: String,
    ends: Vec<(i32, i64)>,
}

impl Marks {
    pub(crate) fn at_end(brokers: &str, topic: &str) -> Result<Self> {
        let ends = watermarks(&consumer(brokers, None)?, topic)?;
        Ok(Self {
            topic: topic.to_owned(),
            ends: ends.into_iter().map(|(partition, _, high)| (partition, high)).collect(),
        })
    }
}

/// Every key of `0..records` must have come since `marks`: exactly once if that was promised. The first outputs must be `expected`.
pub(crate) fn verify(
    brokers: &str,
    marks: &Marks,
    records: u64,
    guarantee: Guarantee,
    expected: &[Value],
) -> Result<()> {
    let consumer = consumer(brokers, None)?;
    let mut list = TopicPartitionList::new();
    for (partition, end) in &marks.ends {
        list.add_partition_offset(&marks.topic, *partition, Offset::Offset(*end))?;
    }
    consumer.assign(&list)?;
    let mut seen = vec![0_u32; usize::try_from(records).unwrap_or(0)];
    let mut open = marks.ends.len();
    while open > 0 {
        match consumer.poll(Duration::from_secs(30)) {
            Some(Ok(message)) => {
                let number = message.key().and_then(order_number).and_then(|number| usize::try_from(number).ok());
                let place = number.and_then(|number| Some((number, seen.get_mut(number)?)));
                let (number, times) = place.ok_or_else(|| wrong(&marks.topic, "a record that nobody asked for"))?;
                *times += 1;
                if let Some(expected) = expected.get(number) {
                    let output: Value = serde_json::from_slice(message.payload().unwrap_or_default())?;
                    if !same_json(&output, expected) {
                        return Err(wrong(&marks.topic, &format!("document {number} became {output}, not {expected}")));
                    }
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => return Err(error.into()),
            None => return Err(BenchError::TooSlow { what: format!("the end of {}", marks.topic), seconds: 30 }),
        }
    }
    let lost = seen.iter().filter(|times| **times == 0).count();
    let again = seen.iter().filter(|times| **times > 1).count();
    if lost > 0 {
        return Err(wrong(&marks.topic, &format!("{lost} of {records} documents are not there")));
    }
    if again > 0 && guarantee == Guarantee::ExactlyOnce {
        return Err(wrong(&marks.topic, &format!("{again} documents are there more than once")));
    }
    Ok(())
}

fn wrong(topic: &str, what: &str) -> BenchError {
    BenchError::Wrong(format!("{topic}: {what}"))
}
