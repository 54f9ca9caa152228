//! After the requests of a plan: waiting until the brokers show what the controller accepted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cluster::blocking;
use crate::plan::is_same_setting;
use crate::{Action, Applied, Cluster, Outcome, TopologyError};

impl Cluster {
    /// The controller answers before the brokers know: whoever produces too early gets errors or, worse, a
    /// topic made by auto-creation, and whoever reads settings too early gets the old ones.
    pub(crate) async fn wait_until_ready(&self, applied: &Applied) -> Result<(), TopologyError> {
        const PAUSE: Duration = Duration::from_millis(50);
        let expected = Expected::after(applied);
        if expected.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let topics = self.not_ready(&expected).await?;
            if topics.is_empty() {
                return Ok(());
            }
            let waited = started.elapsed();
            if waited >= self.operation_timeout {
                return Err(TopologyError::NotReady { topics, waited });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn not_ready(&self, expected: &Expected) -> Result<Vec<String>, TopologyError> {
        let timeout = self.operation_timeout;
        let partitions = expected.partitions.clone();
        let leaderless =
            blocking(&self.connection, move |connection| connection.not_ready(&partitions, timeout)).await?;
        if !leaderless.is_empty() || expected.settings.is_empty() {
            return Ok(leaderless);
        }
        let names: Vec<_> = expected.settings.keys().cloned().collect();
        let shape = self.describe(&names).await?;
        let is_set = |name: &String, settings: &[(String, String)]| {
            shape.topics.get(name).is_some_and(|topic| {
                let has = |(key, value): &(String, String)| {
                    topic.setting(key).is_some_and(|found| is_same_setting(key, found, value))
                };
                settings.iter().all(has)
            })
        };
        let waiting = expected.settings.iter().filter(|(name, settings)| !is_set(name, settings));
        Ok(waiting.map(|(name, _)| name.clone()).collect())
    }

    /// A topic that somebody else created between plan and apply may have any shape.
    pub(crate) async fn compare_with_others(&self, applied: &Applied) -> Result<(), TopologyError> {
        let of_others = || applied.changes.iter().filter(|outcome| outcome.already_done);
        let names: Vec<_> = of_others().map(|outcome| outcome.planned.topic.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let shape = self.describe(&names).await?;
        for Outcome { planned, .. } in of_others() {
            let Action::Create { partitions, config, .. } = &planned.action else {
                continue;
            };
            let is_as_planned = shape.topics.get(&planned.topic).is_some_and(|found| {
                let has = |(key, value): (&String, &String)| {
                    found.setting(key).is_some_and(|setting| is_same_setting(key, setting, value))
                };
                found.partitions == *partitions && config.iter().all(has)
            });
            if !is_as_planned {
                return Err(TopologyError::Change {
                    topic: planned.topic.clone(),
                    change: "be created".to_owned(),
                    reason:
                        "somebody else created it at the same time in another shape; run `prunella topics plan` again"
                            .to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// What the brokers must show before the changes count as made.
#[derive(Default)]
struct Expected {
    /// Partitions with a leader, by topic.
    partitions: BTreeMap<String, i32>,
    settings: BTreeMap<String, Vec<(String, String)>>,
}

impl Expected {
    fn after(applied: &Applied) -> Self {
        let mut expected = Self::default();
        for Outcome { planned, already_done } in &applied.changes {
            let topic = planned.topic.clone();
            match &planned.action {
                // A topic made by somebody else may have another count: any leader will do.
                Action::Create { .. } if *already_done => {
                    expected.partitions.insert(topic, 1);
                }
                Action::Create { partitions, .. } | Action::AddPartitions { to: partitions, .. } => {
                    expected.partitions.insert(topic, *partitions);
                }
                Action::AlterConfig { key, to, .. } => {
                    expected.settings.entry(topic).or_default().push((key.clone(), to.clone()));
                }
                Action::Refused { .. } | Action::Notice { .. } | Action::Unchanged => {}
            }
        }
        expected
    }

    fn is_empty(&self) -> bool {
        self.partitions.is_empty() && self.settings.is_empty()
    }
}
