use std::collections::BTreeMap;

use prunella_model::{WorkflowName, WorkspaceName};

use crate::declaration::OWNED_SETTINGS;
use crate::{
    Catalogue, MinInsyncReplicas, Replication, TopicDeclaration, TopicKind, TopicName, TopicOverride, Topics,
    TopicsConfig, TopologyError,
};

/// A topic as this installation wants it: its declaration with the configuration applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTopic {
    /// Full name, with prefix.
    pub name: String,
    pub kind: TopicKind,
    pub partitions: i32,
    /// The number of partitions never changes once the topic exists.
    pub fixed_partitions: bool,
    /// Has as many partitions as all other topics that say so.
    pub co_partitioned: bool,
    pub replication: Replication,
    pub min_insync_replicas: MinInsyncReplicas,
    /// Topic settings by Kafka's names, without `min.insync.replicas`, which depends on the topic's replication.
    pub config: BTreeMap<String, String>,
}

/// The topics of one installation: names, declarations and configuration, known to agree.
#[derive(Debug, Clone)]
pub struct Topology {
    topics: Topics,
    config: TopicsConfig,
    catalogue: &'static Catalogue,
}

impl Topology {
    /// Fails when the configuration names unknown topics, contradicts itself, or would give the
    /// co-partitioned topics different partition counts.
    pub fn new(config: TopicsConfig) -> Result<Self, TopologyError> {
        let topics = Topics::new(&config.prefix)?;
        let topology = Self { topics, config, catalogue: Catalogue::embedded()? };
        topology.check_numbers()?;
        topology.check_overrides()?;
        topology.check_co_partitioning()?;
        Ok(topology)
    }

    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Every topic that does not belong to one workflow.
    pub fn shared_topics(&self) -> Vec<DesiredTopic> {
        self.catalogue
            .iter()
            .filter(|(kind, _)| !kind.is_per_workflow())
            .map(|(kind, _)| self.desired(&TopicName::Shared(kind)))
            .collect()
    }

    /// The topics of one workflow: trigger, output and dead letters.
    pub fn workflow_topics(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> Vec<DesiredTopic> {
        let of_workflow: [fn(WorkspaceName, WorkflowName) -> TopicName; 3] =
            [TopicName::Trigger, TopicName::Output, TopicName::DeadLetter];
        of_workflow.into_iter().map(|topic| self.desired(&topic(workspace.clone(), workflow.clone()))).collect()
    }

    /// The topics of one stream: dead letters, and the output unless it goes to a topic of the user's.
    pub fn stream_topics(
        &self,
        workspace: &WorkspaceName,
        stream: &WorkflowName,
        has_own_output: bool,
    ) -> Vec<DesiredTopic> {
        let output = has_own_output.then(|| TopicName::Output(workspace.clone(), stream.clone()));
        let dead_letters = TopicName::DeadLetter(workspace.clone(), stream.clone());
        output.iter().chain([&dead_letters]).map(|topic| self.desired(topic)).collect()
    }

    /// One topic as this installation wants it.
    pub fn desired(&self, topic: &TopicName) -> DesiredTopic {
        let kind = topic.kind();
        let declaration = self.catalogue.get(kind);
        let exceptions = self.overrides_of(topic);

        let mut config = declaration.config.clone();
        config.insert("cleanup.policy".to_owned(), declaration.cleanup.policy().to_owned());
        let overridden_retention = exceptions.iter().rev().find_map(|exception| exception.retention);
        if let Some(retention) = overridden_retention.or(declaration.retention) {
            config.insert("retention.ms".to_owned(), retention.millis().to_string());
        }
        for exception in &exceptions {
            config.extend(exception.config.clone());
        }
        let overridden_partitions = exceptions.iter().rev().find_map(|exception| exception.partitions);
        DesiredTopic {
            name: self.topics.full_name(topic),
            kind,
            partitions: overridden_partitions.unwrap_or_else(|| self.partitions_of(declaration)),
            fixed_partitions: declaration.fixed_partitions,
            co_partitioned: declaration.co_partitioned,
            replication: self.config.replication,
            min_insync_replicas: self.config.min_insync_replicas,
            config,
        }
    }

    fn partitions_of(&self, declaration: &TopicDeclaration) -> i32 {
        if declaration.is_single_partition() {
            return declaration.partitions;
        }
        if declaration.co_partitioned && self.config.home_partitions.is_some() {
            return self.config.home_partitions.unwrap_or(declaration.partitions);
        }
        self.config.partitions.unwrap_or(declaration.partitions)
    }

    /// Weakest first: by kind, then by the topic's own name.
    fn overrides_of(&self, topic: &TopicName) -> Vec<&TopicOverride> {
        let kind = topic.kind().id();
        let own_name = topic.to_string();
        let own = (own_name != kind).then_some(own_name);
        let keys = [Some(kind.to_owned()), own];
        keys.iter().flatten().filter_map(|key| self.config.overrides.get(key)).collect()
    }

    fn check_numbers(&self) -> Result<(), TopologyError> {
        let overridden = self
            .config
            .overrides
            .iter()
            .map(|(name, exception)| (format!("topics.overrides.{name}.partitions"), exception.partitions));
        let numbers = [
            ("topics.partitions".to_owned(), self.config.partitions),
            ("topics.home-partitions".to_owned(), self.config.home_partitions),
        ];
        for (key, number) in numbers.into_iter().chain(overridden) {
            if let Some(number) = number.filter(|number| *number < 1) {
                return Err(TopologyError::Config { key, reason: format!("{number} partitions: expected at least 1") });
            }
        }
        let (Replication::Fixed(replication), MinInsyncReplicas::Fixed(min_insync)) =
            (self.config.replication, self.config.min_insync_replicas)
        else {
            return Ok(());
        };
        if min_insync > replication {
            return Err(TopologyError::Config {
                key: "topics.min-insync-replicas".to_owned(),
                reason: format!("{min_insync} of {replication} copies: nothing could be written"),
            });
        }
        Ok(())
    }

    fn check_overrides(&self) -> Result<(), TopologyError> {
        for (name, exception) in &self.config.overrides {
            let by_name = || self.topics.parse(&format!("{}{name}", self.topics.prefix()));
            let Some(kind) = TopicKind::from_id(name).or_else(|| by_name().map(|topic| topic.kind())) else {
                let known: Vec<_> = TopicKind::ALL.iter().map(|kind| kind.id()).collect();
                return Err(TopologyError::Config {
                    key: format!("topics.overrides.{name}"),
                    reason: format!(
                        "there is no such topic: expected one of {}, or the name of a workflow's topic such as output.default.orders",
                        known.join(", ")
                    ),
                });
            };
            let has_retention = self.catalogue.get(kind).retention.is_some();
            if exception.retention.is_some() && !has_retention {
                return Err(TopologyError::Config {
                    key: format!("topics.overrides.{name}.retention"),
                    reason: "this topic is compacted: it keeps the last record of each key for ever".to_owned(),
                });
            }
            let is_owned = |key: &&String| OWNED_SETTINGS.contains(&key.as_str());
            if let Some(owned) = exception.config.keys().find(is_owned)
                && (owned != "cleanup.policy" || kind != TopicKind::Output)
            {
                return Err(TopologyError::Config {
                    key: format!("topics.overrides.{name}.config.{owned}"),
                    reason: owned_setting_advice(owned).to_owned(),
                });
            }
        }
        Ok(())
    }

    fn check_co_partitioning(&self) -> Result<(), TopologyError> {
        let mut first: Option<DesiredTopic> = None;
        for topic in self.shared_topics().into_iter().filter(|topic| topic.co_partitioned) {
            match &first {
                Some(first) if first.partitions != topic.partitions => {
                    return Err(TopologyError::Config {
                        key: format!("topics.overrides.{}.partitions", topic.kind),
                        reason: format!(
                            "{} would have {} partitions and {} would have {}: they must be equal, set topics.home-partitions instead",
                            topic.kind, topic.partitions, first.kind, first.partitions
                        ),
                    });
                }
                Some(_) => {}
                None => first = Some(topic),
            }
        }
        Ok(())
    }
}

fn owned_setting_advice(setting: &str) -> &'static str {
    match setting {
        "retention.ms" => "set `retention` beside `config` instead",
        "min.insync.replicas" => "set topics.min-insync-replicas instead",
        _ => "services rely on how this topic is cleaned up; only that of output topics may be chosen",
    }
}

#[cfg(test)]
#[path = "desired_tests.rs"]
mod tests;
