use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use prunella_model::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::TopologyError;

/// Names, sizes and copies of the topics of this installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TopicsConfig {
    /// Start of every topic name, with its separator. Two installations on one cluster need two prefixes.
    pub prefix: String,
    /// Copies of each partition when a topic is created. `auto` is 3, or the number of brokers when there
    /// are fewer at that moment. A topic that exists keeps its number.
    pub replication: Replication,
    /// Copies that must have a record before it counts as written. `auto` is one less than the
    /// topic's replication, at most 2 and at least 1, so that one broker may be down.
    pub min_insync_replicas: MinInsyncReplicas,
    /// Partitions of every topic that may have more than one. Without it each topic has its own default.
    pub partitions: Option<i32>,
    /// Partitions of the topics that hold the homes of runs. Fixed once they exist; wins over `partitions`.
    pub home_partitions: Option<i32>,
    /// Exceptions per topic: by kind (`output`, `stage.transform`) or, stronger, by name without
    /// prefix (`output.default.orders`).
    pub overrides: BTreeMap<String, TopicOverride>,
}

/// What is different for one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TopicOverride {
    /// Number of partitions.
    pub partitions: Option<i32>,
    /// How long records are kept, for topics with a retention.
    pub retention: Option<Period>,
    /// Further topic settings by Kafka's names and in Kafka's units, such as `max.message.bytes`.
    pub config: BTreeMap<String, String>,
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            prefix: "prunella.".to_owned(),
            replication: Replication::Auto,
            min_insync_replicas: MinInsyncReplicas::Auto,
            partitions: None,
            home_partitions: None,
            overrides: BTreeMap::new(),
        }
    }
}

impl TopicsConfig {
    /// Takes over `PRUNELLA_TOPICS_PREFIX`, `PRUNELLA_TOPICS_PARTITIONS`, `PRUNELLA_TOPICS_HOME_PARTITIONS`,
    /// `PRUNELLA_TOPICS_REPLICATION` and `PRUNELLA_TOPICS_MIN_INSYNC_REPLICAS`, as far as `lookup` knows them.
    pub fn with_environment(mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, TopologyError> {
        if let Some(prefix) = lookup("PRUNELLA_TOPICS_PREFIX") {
            self.prefix = prefix;
        }
        if let Some(partitions) = parsed(&lookup, "PRUNELLA_TOPICS_PARTITIONS")? {
            self.partitions = Some(partitions);
        }
        if let Some(partitions) = parsed(&lookup, "PRUNELLA_TOPICS_HOME_PARTITIONS")? {
            self.home_partitions = Some(partitions);
        }
        if let Some(replication) = parsed(&lookup, "PRUNELLA_TOPICS_REPLICATION")? {
            self.replication = replication;
        }
        if let Some(replicas) = parsed(&lookup, "PRUNELLA_TOPICS_MIN_INSYNC_REPLICAS")? {
            self.min_insync_replicas = replicas;
        }
        Ok(self)
    }
}

fn parsed<T: FromStr<Err: fmt::Display>>(
    lookup: &impl Fn(&str) -> Option<String>,
    variable: &str,
) -> Result<Option<T>, TopologyError> {
    let Some(text) = lookup(variable) else {
        return Ok(None);
    };
    text.trim().parse().map(Some).map_err(|reason| TopologyError::Config {
        key: variable.to_owned(),
        reason: format!("{text:?} is not usable: {reason}"),
    })
}

macro_rules! auto_or_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "NumberOrText", into = "NumberOrText")]
        pub enum $name {
            #[default]
            Auto,
            Fixed(i32),
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                if text == "auto" {
                    return Ok(Self::Auto);
                }
                match text.parse() {
                    Ok(number) if number >= 1 => Ok(Self::Fixed(number)),
                    _ => Err(format!("{text:?}: expected `auto` or a number from 1")),
                }
            }
        }

        impl TryFrom<NumberOrText> for $name {
            type Error = String;
            fn try_from(value: NumberOrText) -> Result<Self, String> {
                match value {
                    NumberOrText::Number(number) => number.to_string().parse(),
                    NumberOrText::Text(text) => text.parse(),
                }
            }
        }

        impl From<$name> for NumberOrText {
            fn from(value: $name) -> Self {
                match value {
                    $name::Auto => Self::Text("auto".to_owned()),
                    $name::Fixed(number) => Self::Number(number.into()),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }]
                })
            }
        }
    };
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(i64),
    Text(String),
}

auto_or_number!(
    /// Copies of each partition: `auto` or a number.
    Replication
);
auto_or_number!(
    /// Copies that must have a record before it counts as written: `auto` or a number.
    MinInsyncReplicas
);

impl Replication {
    const WANTED: i32 = 3;

    /// Number of copies on a cluster of `brokers`.
    pub fn on(self, brokers: usize) -> i32 {
        match self {
            Self::Auto => Self::WANTED.min(i32::try_from(brokers).unwrap_or(i32::MAX)).max(1),
            Self::Fixed(number) => number,
        }
    }
}

impl MinInsyncReplicas {
    /// For a topic with `replication` copies of each partition.
    pub fn of(self, replication: i32) -> i32 {
        match self {
            Self::Auto => (replication - 1).clamp(1, 2),
            Self::Fixed(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_size_of_the_cluster() {
        for (brokers, replication, min_insync) in [(1, 1, 1), (2, 2, 1), (3, 3, 2), (9, 3, 2)] {
            assert_eq!(Replication::Auto.on(brokers), replication);
            assert_eq!(MinInsyncReplicas::Auto.of(replication), min_insync);
        }
    }

    #[test]
    fn the_environment_wins_and_a_bad_value_names_its_variable() {
        let config = TopicsConfig::default()
            .with_environment(|name| match name {
                "PRUNELLA_TOPICS_PARTITIONS" => Some("4".to_owned()),
                "PRUNELLA_TOPICS_REPLICATION" => Some("2".to_owned()),
                _ => None,
            })
            .expect("valid");
        assert_eq!(config.partitions, Some(4));
        assert_eq!(config.replication, Replication::Fixed(2));
        assert_eq!(config.prefix, "prunella.");

        let error = TopicsConfig::default()
            .with_environment(|name| (name == "PRUNELLA_TOPICS_REPLICATION").then(|| "0".to_owned()))
            .expect_err("no copies at all");
        assert!(error.to_string().contains("PRUNELLA_TOPICS_REPLICATION"), "{error}");
    }

    #[test]
    fn the_file_form_is_read_and_written() {
        let text = r#"{"replication":2,"min-insync-replicas":"auto","overrides":{"output":{"retention":"30days"}}}"#;
        let config: TopicsConfig = serde_json::from_str(text).expect("valid");
        assert_eq!(config.replication, Replication::Fixed(2));
        let written = serde_json::to_string(&config).expect("writes");
        assert_eq!(serde_json::from_str::<TopicsConfig>(&written).expect("reads back"), config);
        assert!(serde_json::from_str::<TopicsConfig>(r#"{"replicas":2}"#).is_err());
        assert!(serde_json::from_str::<TopicsConfig>(r#"{"replication":0}"#).is_err());
    }
}
