use std::fmt;

use serde::Serialize;

use crate::{ClusterShape, DesiredTopic};

/// Why a service cannot work with a topic as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum ShapeProblem {
    Missing {
        topic: String,
    },
    Cleanup {
        topic: String,
        found: String,
        expected: String,
    },
    /// A topic whose number of partitions is part of its meaning.
    Partitions {
        topic: String,
        found: i32,
        expected: i32,
    },
    /// Two topics that must have the same number of partitions.
    CoPartitioning {
        topic: String,
        found: i32,
        other: String,
        other_found: i32,
    },
    /// Records that we must be able to write would be refused.
    MaxMessageBytes {
        topic: String,
        found: u64,
        expected: u64,
    },
}

/// Pure: what services cannot live with. Less than a full comparison: an operator may give a topic
/// more partitions or another retention while services run.
pub fn problems(existing: &ClusterShape, required: &[DesiredTopic]) -> Vec<ShapeProblem> {
    let mut problems = Vec::new();
    let mut first_home: Option<(&str, i32)> = None;
    for wanted in required {
        let topic = wanted.name.clone();
        let Some(found) = existing.topics.get(&wanted.name) else {
            problems.push(ShapeProblem::Missing { topic });
            continue;
        };
        let cleanup = |setting: Option<&str>| setting.unwrap_or_default().to_owned();
        let found_cleanup = cleanup(found.setting("cleanup.policy"));
        let expected_cleanup = cleanup(wanted.config.get("cleanup.policy").map(String::as_str));
        if found_cleanup != expected_cleanup {
            problems.push(ShapeProblem::Cleanup {
                topic: topic.clone(),
                found: found_cleanup,
                expected: expected_cleanup,
            });
        }
        if wanted.co_partitioned {
            match first_home {
                Some((other, other_found)) if other_found != found.partitions => {
                    problems.push(ShapeProblem::CoPartitioning {
                        topic: topic.clone(),
                        found: found.partitions,
                        other: other.to_owned(),
                        other_found,
                    });
                }
                Some(_) => {}
                None => first_home = Some((&wanted.name, found.partitions)),
            }
        } else if wanted.fixed_partitions && found.partitions != wanted.partitions {
            problems.push(ShapeProblem::Partitions {
                topic: topic.clone(),
                found: found.partitions,
                expected: wanted.partitions,
            });
        }
        let size = |setting: Option<&str>| setting.and_then(|text| text.parse::<u64>().ok());
        let found_size = size(found.setting("max.message.bytes"));
        let expected_size = size(wanted.config.get("max.message.bytes").map(String::as_str));
        if let (Some(found), Some(expected)) = (found_size, expected_size)
            && found < expected
        {
            problems.push(ShapeProblem::MaxMessageBytes { topic, found, expected });
        }
    }
    problems
}

impl fmt::Display for ShapeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { topic } => write!(f, "{topic}: it does not exist"),
            Self::Cleanup { topic, found, expected } => {
                write!(f, "{topic}: its cleanup.policy is {found}, it must be {expected}")
            }
            Self::Partitions { topic, found, expected } => {
                write!(f, "{topic}: it has {found} partitions, it must have {expected}")
            }
            Self::CoPartitioning { topic, found, other, other_found } => write!(
                f,
                "{topic}: it has {found} partitions and {other} has {other_found}, they must have the same number"
            ),
            Self::MaxMessageBytes { topic, found, expected } => {
                write!(f, "{topic}: its max.message.bytes is {found}, records of up to {expected} bytes must fit")
            }
        }
    }
}
