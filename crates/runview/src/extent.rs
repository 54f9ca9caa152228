//! Where the topics begin and end, to find out that they are not the ones the view was read from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prunella_stream::{KafkaSettings, StreamError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use tokio::sync::oneshot;

const TIMEOUT: Duration = Duration::from_secs(5);

/// First and next offset of each partition of the topics, by topic and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extents {
    /// Empty when the broker does not tell.
    pub(crate) cluster: String,
    pub(crate) partitions: BTreeMap<(String, i32), (i64, i64)>,
}

impl Extents {
    /// Why `positions` were not read from these topics; `None` when they may have been.
    pub(crate) fn contradict(&self, positions: &BTreeMap<(String, i32), i64>) -> Option<String> {
        positions.iter().find_map(|((topic, partition), position)| {
            match self.partitions.get(&(topic.clone(), *partition)) {
                None => Some(format!("{topic}[{partition}] is not there any more")),
                Some((_, end)) if position > end => {
                    Some(format!("{topic}[{partition}] ends at {end}, before the {position} that was read"))
                }
                Some(_) => None,
            }
        })
    }

    /// Records between `positions` and the ends; control records and compacted ones count as well.
    pub(crate) fn lag(&self, positions: &BTreeMap<(String, i32), i64>) -> i64 {
        let behind = self.partitions.iter().map(|(place, (first, end))| {
            let position = positions.get(place).copied().unwrap_or(*first);
            (end - position.max(*first)).max(0)
        });
        behind.sum()
    }
}

/// Asks Kafka. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Probe {
    consumer: Arc<BaseConsumer>,
    topics: Arc<[String]>,
}

impl Probe {
    pub(crate) fn new(kafka: &KafkaSettings, topics: [String; 2]) -> Result<Self, StreamError> {
        let mut config = kafka.consumer_config()?;
        // A group id is demanded by the client and never used.
        config.set("group.id", "prunella.view");
        let consumer: BaseConsumer = config
            .create()
            .map_err(|error| StreamError::Client { stage: "run view".to_owned(), reason: error.to_string() })?;
        Ok(Self { consumer: Arc::new(consumer), topics: Arc::new(topics) })
    }

    /// Asks on a thread of its own, which a shutdown does not wait for.
    ///
    /// # Errors
    /// A text when Kafka does not answer or a topic is missing.
    pub(crate) async fn look(&self) -> Result<Extents, String> {
        let probe = self.clone();
        let (answer, answered) = oneshot::channel();
        // Nobody hears the answer when the feed has ended meanwhile.
        let asking = move || drop(answer.send(probe.ask()));
        let asked = std::thread::Builder::new().name("run view probe".to_owned()).spawn(asking);
        asked.map_err(|error| error.to_string())?;
        answered.await.map_err(|error| error.to_string())?
    }

    fn ask(&self) -> Result<Extents, String> {
        let mut extents = Extents::default();
        for topic in self.topics.iter() {
            let failed = |error: KafkaError| format!("{topic}: {error}");
            let metadata = self.consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(failed)?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let partitions = found.map(|found| found.partitions()).unwrap_or_default();
            if partitions.is_empty() {
                return Err(format!("{topic} is not there; `prunella topics apply` makes it"));
            }
            for partition in partitions {
                let extent = self.consumer.fetch_watermarks(topic, partition.id(), TIMEOUT).map_err(failed)?;
                extents.partitions.insert((topic.clone(), partition.id()), extent);
            }
        }
        extents.cluster = self.consumer.client().fetch_cluster_id(TIMEOUT).unwrap_or_default();
        // Delivers the client's log and error events, which wait until somebody asks for them.
        drop(self.consumer.poll(Duration::ZERO));
        Ok(extents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_beyond_the_end_or_of_missing_partitions_contradict() {
        let place = |partition: i32| ("t".to_owned(), partition);
        let partitions = BTreeMap::from([(place(0), (5, 10)), (place(1), (0, 3))]);
        let extents = Extents { cluster: String::new(), partitions };
        let at = |partition, position| BTreeMap::from([(place(partition), position)]);
        assert_eq!(extents.contradict(&at(0, 10)), None);
        assert_eq!(extents.contradict(&at(0, 2)), None, "retention passed it");
        assert!(extents.contradict(&at(0, 11)).is_some());
        assert!(extents.contradict(&at(2, 0)).is_some());
        assert_eq!(extents.lag(&at(0, 7)), 3 + 3);
        assert_eq!(extents.lag(&at(0, 2)), 5 + 3);
    }
}
