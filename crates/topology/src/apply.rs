use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use serde::Serialize;

use crate::cluster::{blocking, not_authorized};
use crate::incremental::set_topic_config;
use crate::{Action, Cluster, Plan, PlannedTopic, TopologyError};

/// What applying a plan did, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Applied {
    pub changes: Vec<Outcome>,
}

/// One change that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    #[serde(flatten)]
    pub planned: PlannedTopic,
    /// Somebody else made the same change in the meantime.
    pub already_done: bool,
}

impl Cluster {
    /// Makes the changes of `plan` and waits until created topics can be used. Changes nothing at all when
    /// something in it is refused: always for partition counts, for other refusals unless `allow_data_loss`.
    /// May be called again after a failure, and by several at the same time.
    pub async fn apply(&self, plan: &Plan, allow_data_loss: bool) -> Result<Applied, TopologyError> {
        let refusals: Vec<_> = plan.refusals(allow_data_loss).cloned().collect();
        if !refusals.is_empty() {
            return Err(TopologyError::Refused { refusals });
        }
        let changes: Vec<PlannedTopic> = plan
            .topics
            .iter()
            .filter_map(|planned| {
                let action = match &planned.action {
                    Action::Refused { change: Some(change), .. } => change.as_ref().clone(),
                    Action::Refused { change: None, .. } | Action::Notice { .. } | Action::Unchanged => {
                        return None;
                    }
                    change => change.clone(),
                };
                Some(PlannedTopic { topic: planned.topic.clone(), action })
            })
            .collect();

        let mut applied = Applied::default();
        self.create(&changes, &mut applied).await?;
        self.add_partitions(&changes, &mut applied).await?;
        self.alter_configs(&changes, &mut applied).await?;
        self.wait_until_ready(&applied).await?;
        self.compare_with_others(&applied).await?;
        Ok(applied)
    }

    async fn create(&self, changes: &[PlannedTopic], applied: &mut Applied) -> Result<(), TopologyError> {
        let new_topics: Vec<_> = changes
            .iter()
            .filter_map(|planned| match &planned.action {
                Action::Create { partitions, replication, config } => {
                    let new = NewTopic::new(&planned.topic, *partitions, TopicReplication::Fixed(*replication));
                    Some(config.iter().fold(new, |new, (key, value)| new.set(key, value)))
                }
                _ => None,
            })
            .collect();
        if new_topics.is_empty() {
            return Ok(());
        }
        let results = self
            .admin
            .create_topics(&new_topics, &self.admin_options())
            .await
            .map_err(|error| self.connection.failure(&error, "topics cannot be created"))?;
        for result in results {
            let (name, error) = match result {
                Ok(name) => (name, None),
                Err((name, error)) => (name, Some(error)),
            };
            let already_done = match error {
                None => false,
                Some(RDKafkaErrorCode::TopicAlreadyExists) => true,
                Some(error) => return Err(refusal(&name, "Create", "be created", error, None)),
            };
            record(applied, changes, &name, already_done, |action| matches!(action, Action::Create { .. }));
        }
        Ok(())
    }

    async fn add_partitions(&self, changes: &[PlannedTopic], applied: &mut Applied) -> Result<(), TopologyError> {
        let additions: BTreeMap<&str, i32> = changes
            .iter()
            .filter_map(|planned| match planned.action {
                Action::AddPartitions { to, .. } => Some((planned.topic.as_str(), to)),
                _ => None,
            })
            .collect();
        if additions.is_empty() {
            return Ok(());
        }
        let requests: Vec<_> =
            additions.iter().map(|(name, to)| NewPartitions::new(name, usize::try_from(*to).unwrap_or(0))).collect();
        let results = self
            .admin
            .create_partitions(&requests, &self.admin_options())
            .await
            .map_err(|error| self.connection.failure(&error, "partitions cannot be added"))?;
        for result in results {
            let (name, error) = match result {
                Ok(name) => (name, None),
                Err((name, error)) => (name, Some(error)),
            };
            let already_done = match error {
                None => false,
                Some(error) => {
                    // Refused as well when somebody else has just added the same partitions.
                    let wanted = additions.get(name.as_str()).copied().unwrap_or(0);
                    if error != RDKafkaErrorCode::InvalidPartitions || !self.has_partitions(&name, wanted).await? {
                        return Err(refusal(&name, "Alter", "get more partitions", error, None));
                    }
                    true
                }
            };
            record(applied, changes, &name, already_done, |action| matches!(action, Action::AddPartitions { .. }));
        }
        Ok(())
    }

    async fn has_partitions(&self, name: &str, wanted: i32) -> Result<bool, TopologyError> {
        let shape = self.describe(&[name.to_owned()]).await?;
        Ok(shape.topics.get(name).is_some_and(|topic| topic.partitions >= wanted))
    }

    async fn alter_configs(&self, changes: &[PlannedTopic], applied: &mut Applied) -> Result<(), TopologyError> {
        let mut by_topic: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        for planned in changes {
            if let Action::AlterConfig { key, to, .. } = &planned.action {
                by_topic.entry(&planned.topic).or_default().push((key.clone(), to.clone()));
            }
        }
        for (name, settings) in by_topic {
            let admin = Arc::clone(&self.admin);
            let timeout = self.operation_timeout;
            let topic = name.to_owned();
            let outcome = blocking(&self.connection, move |_| {
                let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                Ok(set_topic_config(admin.inner(), &topic, &settings, timeout))
            })
            .await?;
            if let Err((error, reason)) = outcome {
                return Err(refusal(name, "AlterConfigs", "change its settings", error, Some(reason)));
            }
            record(applied, changes, name, false, |action| matches!(action, Action::AlterConfig { .. }));
        }
        Ok(())
    }

    fn admin_options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.operation_timeout))
            .operation_timeout(Some(self.operation_timeout / 2))
    }
}

fn record(
    applied: &mut Applied,
    changes: &[PlannedTopic],
    name: &str,
    already_done: bool,
    is_done: impl Fn(&Action) -> bool,
) {
    for planned in changes.iter().filter(|planned| planned.topic == name && is_done(&planned.action)) {
        tracing::info!(topic = name, already_done, change = %planned.action, "topic changed");
        applied.changes.push(Outcome { planned: planned.clone(), already_done });
    }
}

fn refusal(
    topic: &str,
    operation: &'static str,
    change: &str,
    error: RDKafkaErrorCode,
    broker_says: Option<String>,
) -> TopologyError {
    use RDKafkaErrorCode as Error;
    let advice = match error {
        Error::TopicAuthorizationFailed | Error::ClusterAuthorizationFailed => {
            return not_authorized(operation, topic);
        }
        Error::InvalidReplicationFactor => "; set topics.replication to at most the number of brokers",
        Error::PolicyViolation => {
            "; the cluster has a policy for topics: ask its administrator what it allows and set topics.overrides"
        }
        Error::InvalidConfig => "; set topics.overrides.<topic>.config to what this cluster accepts",
        _ => "",
    };
    let reason = broker_says.unwrap_or_else(|| error.to_string());
    TopologyError::Change { topic: topic.to_owned(), change: change.to_owned(), reason: format!("{reason}{advice}") }
}
