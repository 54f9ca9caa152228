//! What an installation is doing, as its topics tell it.

use std::time::Instant;

use serde::Serialize;

use prunella_catalog::Compiled;
use prunella_streams::output_topic;

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;
use crate::queues::{Queue, Reading, queues};

/// The queues and topics at one moment.
pub struct Snapshot {
    at: Instant,
    stages: Vec<(Queue, Vec<Reading>)>,
    names: Vec<Ends>,
}

struct Ends {
    name: String,
    outputs: i64,
    letters: i64,
}

/// What happened between two moments.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Activity {
    pub seconds: f64,
    pub stages: Vec<StageActivity>,
    pub names: Vec<NameActivity>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageActivity {
    pub stage: String,
    pub members: usize,
    /// Records that wait or are at work.
    pub lag: i64,
    /// Records a second that came, and that were done.
    pub arriving: f64,
    pub done: f64,
}

/// A workflow or stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NameActivity {
    pub name: String,
    /// Records a second.
    pub outputs: f64,
    pub dead_letters: f64,
    /// Dead letters that were ever written.
    pub dead_letters_total: i64,
}

impl Snapshot {
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn take(desk: &Desk, offsets: &Offsets) -> Result<Self, OperateError> {
        let mut stages = Vec::new();
        for queue in queues(desk) {
            let mut readings = Vec::new();
            for topic in &queue.topics {
                readings.push(Reading::take(offsets, &queue.group, topic).await?);
            }
            stages.push((queue, readings));
        }
        let mut names = Vec::new();
        for ((workspace, name), known) in &desk.catalog.history().workflows {
            let output = match known.live_definition().map(|live| live.compiled()) {
                Some(Ok(Compiled::Stream(plan))) => output_topic(&desk.topics, workspace, plan.stream()),
                _ => desk.topics.output(workspace, name),
            };
            names.push(Ends {
                name: format!("{workspace}/{name}"),
                outputs: end(offsets, &output).await?,
                letters: end(offsets, &desk.topics.deadletter(workspace, name)).await?,
            });
        }
        Ok(Self { at: Instant::now(), stages, names })
    }

    /// What has happened since `earlier`.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn since(&self, earlier: &Self, offsets: &Offsets) -> Result<Activity, OperateError> {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64().max(0.001);
        let mut stages = Vec::new();
        for (queue, now) in &self.stages {
            let before = earlier.stages.iter().find(|(known, _)| known.stage == queue.stage);
            let members = offsets.members(&queue.group).await?;
            stages.push(stage(queue, members, before.map(|(_, readings)| readings.as_slice()), now, seconds));
        }
        let name = |now: &Ends| {
            let before = earlier.names.iter().find(|known| known.name == now.name);
            let rate = |of: fn(&Ends) -> i64| before.map_or(0.0, |before| rate(of(before), of(now), seconds));
            NameActivity {
                name: now.name.clone(),
                outputs: rate(|ends| ends.outputs),
                dead_letters: rate(|ends| ends.letters),
                dead_letters_total: now.letters,
            }
        };
        Ok(Activity { seconds, stages, names: self.names.iter().map(name).collect() })
    }
}

async fn end(offsets: &Offsets, topic: &str) -> Result<i64, OperateError> {
    Ok(offsets.bounds(topic).await?.unwrap_or_default().values().map(|bounds| bounds.end).sum())
}

fn rate(before: i64, now: i64, seconds: f64) -> f64 {
    (now - before).max(0) as f64 / seconds
}

fn stage(queue: &Queue, members: usize, before: Option<&[Reading]>, now: &[Reading], seconds: f64) -> StageActivity {
    let sum = |readings: &[Reading], of: fn(&Reading) -> i64| readings.iter().map(of).sum::<i64>();
    let rate = |of: fn(&Reading) -> i64| before.map_or(0.0, |before| rate(sum(before, of), sum(now, of), seconds));
    StageActivity {
        stage: queue.stage.clone(),
        members,
        lag: sum(now, Reading::lag),
        arriving: rate(Reading::end),
        done: rate(Reading::done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offsets::Bounds;

    #[test]
    fn rates_are_what_moved_between_two_looks() {
        let at = |end: i64, committed: i64| Reading {
            ends: [(0, Bounds { first: 0, end })].into(),
            committed: [(0, committed)].into(),
        };
        let queue = Queue { stage: "validator".into(), group: "g".into(), topics: vec!["t".into()] };
        let found = stage(&queue, 2, Some(&[at(100, 50)]), &[at(300, 150)], 2.0);
        assert_eq!((found.lag, found.arriving, found.done, found.members), (150, 100.0, 50.0, 2));
        let first = stage(&queue, 0, None, &[at(300, 150)], 2.0);
        assert_eq!((first.lag, first.arriving), (150, 0.0));
    }
}
