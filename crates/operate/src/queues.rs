//! What waits for whom: the consumer groups of an installation and the topics they read.

use std::collections::BTreeMap;

use prunella_catalog::Compiled;
use prunella_streams::group;

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::{Bounds, Offsets};

/// A service or a stream, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// `orchestrator`, or `stream.<workspace>.<name>`.
    pub stage: String,
    pub group: String,
    pub topics: Vec<String>,
}

/// Every queue of the installation, as its catalog is now.
pub fn queues(desk: &Desk) -> Vec<Queue> {
    let topics = &desk.topics;
    let service = |stage: &str, read: Vec<String>| Queue {
        stage: stage.to_owned(),
        group: format!("{}{stage}", topics.prefix()),
        topics: read,
    };
    let history = desk.catalog.history();
    let mut triggers = vec![topics.stage_progress()];
    let mut streams = Vec::new();
    for ((workspace, name), known) in &history.workflows {
        match known.live_definition().map(|live| live.compiled()) {
            Some(Ok(Compiled::Workflow(_))) => triggers.push(topics.trigger(workspace, name)),
            Some(Ok(Compiled::Stream(plan))) if !plan.stream().paused => streams.push(Queue {
                stage: format!("stream.{workspace}.{name}"),
                group: group(topics, workspace, name),
                topics: vec![plan.stream().input.topic.to_string()],
            }),
            _ => {}
        }
    }
    let mut all = vec![
        service("orchestrator", triggers),
        service("extractor", vec![topics.stage_extract()]),
        service("transformer", vec![topics.stage_transform()]),
        service("validator", vec![topics.stage_validate()]),
        service("healer", vec![topics.stage_heal()]),
    ];
    all.append(&mut streams);
    all
}

/// How far a group is in one topic, by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    pub ends: BTreeMap<i32, Bounds>,
    pub committed: BTreeMap<i32, i64>,
}

impl Reading {
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn take(offsets: &Offsets, group: &str, topic: &str) -> Result<Self, OperateError> {
        // In this order: what is committed is never ahead of the end.
        let committed = offsets.committed(group, topic).await?;
        Ok(Self { ends: offsets.bounds(topic).await?.unwrap_or_default(), committed })
    }

    /// Where the group goes on in a partition.
    pub fn next(&self, partition: i32) -> i64 {
        let first = self.ends.get(&partition).map_or(0, |bounds| bounds.first);
        self.committed.get(&partition).copied().unwrap_or(first).max(first)
    }

    /// Offsets between the group and the end; markers of transactions count too.
    pub fn lag_of(&self, partition: i32) -> i64 {
        self.ends.get(&partition).map_or(0, |bounds| (bounds.end - self.next(partition)).max(0))
    }

    pub fn lag(&self) -> i64 {
        self.ends.keys().map(|partition| self.lag_of(*partition)).sum()
    }

    pub fn end(&self) -> i64 {
        self.ends.values().map(|bounds| bounds.end).sum()
    }

    pub fn done(&self) -> i64 {
        self.ends.keys().map(|partition| self.next(*partition)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_counted_from_what_is_still_there() {
        let ends =
            [(0, Bounds { first: 10, end: 30 }), (1, Bounds { first: 0, end: 5 }), (2, Bounds { first: 7, end: 9 })];
        let reading = Reading { ends: ends.into(), committed: [(0, 25), (1, 5), (2, 3)].into() };
        assert_eq!((reading.lag_of(0), reading.lag_of(1), reading.lag_of(2), reading.lag()), (5, 0, 2, 7));
        let fresh = Reading { ends: ends.into(), committed: BTreeMap::new() };
        assert_eq!((fresh.lag(), fresh.end(), fresh.done()), (27, 44, 17));
    }
}
