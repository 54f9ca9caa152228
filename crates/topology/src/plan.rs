use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prunella_model::Code;
use serde::Serialize;

use crate::{ClusterShape, DesiredTopic, ExistingTopic, Replication};

/// The way from what a cluster has to what is wanted, topic by topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Plan {
    pub topics: Vec<PlannedTopic>,
}

/// One action for one topic; a topic may have several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedTopic {
    /// Full name.
    pub topic: String,
    #[serde(flatten)]
    pub action: Action,
}

/// What is to be done with a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    Create {
        partitions: i32,
        replication: i32,
        config: BTreeMap<String, String>,
    },
    AddPartitions {
        from: i32,
        to: i32,
    },
    /// `from` is the value in force, none when the broker does not know the setting.
    AlterConfig {
        key: String,
        from: Option<String>,
        to: String,
    },
    /// Not done. `change` is what would be done if data may be lost; without it, it is never done.
    Refused {
        #[serde(serialize_with = "code_id")]
        code: Code,
        reason: String,
        way_out: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Box<Action>>,
    },
    /// Differs, and is left as it is.
    Notice {
        reason: String,
        way_out: String,
    },
    Unchanged,
}

fn code_id<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.id())
}

impl Plan {
    /// Pure: what must be done with `existing` to have `desired`. Topics that are not in `desired`, and
    /// settings that it does not name, are left alone.
    pub fn between(existing: &ClusterShape, desired: &[DesiredTopic]) -> Self {
        let mut topics = Vec::new();
        for wanted in desired {
            let actions = match existing.topics.get(&wanted.name) {
                None => vec![creation(wanted, existing.brokers)],
                Some(found) => changes(found, wanted),
            };
            topics.extend(actions.into_iter().map(|action| PlannedTopic { topic: wanted.name.clone(), action }));
        }
        Self { topics }
    }

    /// Whether applying it would do nothing and complain of nothing.
    pub fn is_empty(&self) -> bool {
        self.topics.iter().all(|planned| matches!(planned.action, Action::Unchanged | Action::Notice { .. }))
    }

    /// What stands in the way of applying it.
    pub fn refusals(&self, allow_data_loss: bool) -> impl Iterator<Item = &PlannedTopic> {
        self.topics.iter().filter(move |planned| match &planned.action {
            Action::Refused { change, .. } => !(allow_data_loss && change.is_some()),
            _ => false,
        })
    }
}

fn creation(wanted: &DesiredTopic, brokers: usize) -> Action {
    let replication = wanted.replication.on(brokers);
    Action::Create { partitions: wanted.partitions, replication, config: full_config(wanted, replication) }
}

fn full_config(wanted: &DesiredTopic, replication: i32) -> BTreeMap<String, String> {
    let min_insync = wanted.min_insync_replicas.of(replication).to_string();
    let mut config = wanted.config.clone();
    config.insert("min.insync.replicas".to_owned(), min_insync);
    config
}

fn changes(found: &ExistingTopic, wanted: &DesiredTopic) -> Vec<Action> {
    let mut actions = Vec::new();
    actions.extend(partition_change(found, wanted));
    actions.extend(replication_notice(found, wanted));
    // The settings fit the copies that the topic has, not those a new one would get.
    for (key, to) in full_config(wanted, found.replication) {
        let from = found.setting(&key);
        if from.is_some_and(|from| is_same_setting(&key, from, &to)) {
            continue;
        }
        let loss = from.and_then(|from| data_loss(&key, from, &to));
        let change = Action::AlterConfig { key: key.clone(), from: from.map(str::to_owned), to };
        actions.push(match loss {
            None => change,
            Some(reason) => Action::Refused {
                code: Code::TopicDataLoss,
                reason,
                way_out: format!(
                    "keep the topic as it is with topics.overrides.{}, or apply with --allow-data-loss",
                    wanted.kind
                ),
                change: Some(Box::new(change)),
            },
        });
    }
    if actions.is_empty() {
        actions.push(Action::Unchanged);
    }
    actions
}

fn partition_change(found: &ExistingTopic, wanted: &DesiredTopic) -> Option<Action> {
    let (from, to) = (found.partitions, wanted.partitions);
    if from == to {
        return None;
    }
    if wanted.fixed_partitions {
        let setting = if wanted.co_partitioned {
            "topics.home-partitions".to_owned()
        } else {
            format!("topics.overrides.{}.partitions", wanted.kind)
        };
        return Some(Action::Refused {
            code: Code::TopicPartitions,
            reason: format!(
                "it has {from} partitions and {to} are wanted: its records are placed by their count, so another count would lose the way to every one of them"
            ),
            way_out: format!(
                "set {setting} to {from}; another count needs a new installation with its own topics.prefix"
            ),
            change: None,
        });
    }
    if from > to {
        return Some(Action::Refused {
            code: Code::TopicDataLoss,
            reason: format!("it has {from} partitions and {to} are wanted: Kafka cannot take partitions away"),
            way_out: format!(
                "set topics.overrides.{}.partitions to {from}, or delete the topic with its records and apply again",
                wanted.kind
            ),
            change: None,
        });
    }
    Some(Action::AddPartitions { from, to })
}

fn replication_notice(found: &ExistingTopic, wanted: &DesiredTopic) -> Option<Action> {
    let Replication::Fixed(replication) = wanted.replication else {
        return None;
    };
    (found.replication != replication).then(|| Action::Notice {
        reason: format!("it has {} copies of each partition, {replication} are wanted", found.replication),
        way_out: "move it with Kafka's kafka-reassign-partitions tool".to_owned(),
    })
}

/// Whether Kafka means the same by both values of a setting.
pub(crate) fn is_same_setting(key: &str, from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    if key == "cleanup.policy" {
        return policies(from) == policies(to);
    }
    match (from.parse::<f64>(), to.parse::<f64>()) {
        (Ok(from), Ok(to)) => from == to,
        _ => false,
    }
}

fn policies(value: &str) -> BTreeSet<&str> {
    value.split(',').map(str::trim).filter(|policy| !policy.is_empty()).collect()
}

/// Why records would be lost by the change, if they would.
fn data_loss(key: &str, from: &str, to: &str) -> Option<String> {
    match key {
        "cleanup.policy" => {
            let (from_policies, to_policies) = (policies(from), policies(to));
            let added = to_policies.difference(&from_policies).next()?;
            let consequence = match *added {
                "compact" => "all but the last record of each key would be removed",
                _ => "the last record of a key would be removed once it is old",
            };
            Some(format!("cleanup.policy would change from {from} to {to}: {consequence}"))
        }
        "retention.ms" | "retention.bytes" if is_shorter(from, to) => {
            Some(format!("{key} would shrink from {from} to {to}: records beyond it would be removed"))
        }
        "delete.retention.ms" if is_shorter(from, to) => Some(format!(
            "{key} would shrink from {from} to {to}: a reader that was away for longer would miss deletions"
        )),
        _ => None,
    }
}

/// A negative limit is none.
fn is_shorter(from: &str, to: &str) -> bool {
    let limit = |text: &str| match text.parse::<i64>() {
        Ok(limit) if limit >= 0 => limit,
        _ => i64::MAX,
    };
    limit(to) < limit(from)
}

impl fmt::Display for PlannedTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { partitions, replication, config } => {
                let cleanup = config.get("cleanup.policy").map_or("delete", String::as_str);
                write!(f, "create (partitions {partitions}, replication {replication}, cleanup {cleanup})")
            }
            Self::AddPartitions { from, to } => write!(f, "add partitions ({from} to {to})"),
            Self::AlterConfig { key, from: Some(from), to } => write!(f, "set {key} ({from} to {to})"),
            Self::AlterConfig { key, from: None, to } => write!(f, "set {key} ({to})"),
            Self::Refused { code, reason, way_out, .. } => write!(f, "refused ({code}): {reason}; {way_out}"),
            Self::Notice { reason, way_out } => write!(f, "left as it is: {reason}; {way_out}"),
            Self::Unchanged => f.write_str("unchanged"),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
