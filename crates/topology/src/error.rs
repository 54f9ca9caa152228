use std::fmt;
use std::time::Duration;

use prunella_model::Code;

use crate::{PlannedTopic, ShapeProblem};

/// Why topics cannot be read, compared or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopologyError {
    #[error("{key}: {reason}")]
    Config { key: String, reason: String },
    #[error("{reason}; this is a fault of this build, not of the installation")]
    Declaration { reason: String },
    /// `code` tells apart what stands between us and the brokers.
    #[error("cannot work with the Kafka brokers at {brokers}: {reason}; {}", way_out(*code))]
    Connection { code: Code, brokers: String, reason: String },
    #[error("{0}")]
    NotAuthorized(MissingPermission),
    #[error("nothing was changed, because {} refused:\n{}", counted(refusals.len(), "change is", "changes are"), lines(refusals))]
    Refused { refusals: Vec<PlannedTopic> },
    #[error("{topic}: cannot {change}: {reason}")]
    Change { topic: String, change: String, reason: String },
    #[error("{} not ready after {waited:?} (a partition without leader, or a change that the brokers do not show): {}; look at the brokers' logs and run `prunella topics apply` again", counted(topics.len(), "topic is", "topics are"), topics.join(", "))]
    NotReady { topics: Vec<String>, waited: Duration },
    #[error("{} not as needed:\n{}\nrun `prunella topics plan` to see the difference and `prunella topics apply` to make it so", counted(problems.len(), "topic is", "topics are"), lines(problems))]
    Shape { problems: Vec<ShapeProblem> },
}

/// A permission that the cluster's administrator has to grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPermission {
    /// As Kafka calls it: `Describe`, `DescribeConfigs`, `Create`, `Alter`, `AlterConfigs`.
    pub operation: &'static str,
    /// Full topic name.
    pub topic: String,
}

impl fmt::Display for MissingPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, topic } = self;
        write!(
            f,
            "the cluster does not allow {operation} on topic {topic}: let its administrator grant it, for example `kafka-acls --add --allow-principal User:<name> --operation {operation} --topic {topic}`"
        )
    }
}

impl TopologyError {
    pub fn code(&self) -> Code {
        match self {
            Self::Config { .. } => Code::Config,
            Self::Declaration { .. } => Code::TopicDeclaration,
            Self::Connection { code, .. } => *code,
            Self::NotAuthorized(_) => Code::BrokerAuthorization,
            Self::Refused { refusals } => refusal_code(refusals),
            Self::Change { .. } => Code::TopicChange,
            Self::NotReady { .. } => Code::TopicNotReady,
            Self::Shape { .. } => Code::TopicShape,
        }
    }
}

/// A partition count that never changes is the harder refusal, so it names the error.
fn refusal_code(refusals: &[PlannedTopic]) -> Code {
    let is_hard =
        |planned: &PlannedTopic| matches!(planned.action, crate::Action::Refused { code: Code::TopicPartitions, .. });
    if refusals.iter().any(is_hard) { Code::TopicPartitions } else { Code::TopicDataLoss }
}

fn way_out(code: Code) -> &'static str {
    match code {
        Code::BrokerAuthentication => {
            "check the user, the password and the mechanism (sasl.username, sasl.password, sasl.mechanism)"
        }
        Code::BrokerTls => {
            "check that the port speaks TLS, that ssl.ca.location holds the authority that signed the brokers' certificates, and that they name the host"
        }
        Code::BrokerAuthorization => "let the cluster's administrator grant the permission",
        Code::Config => "check the Kafka options of the configuration",
        _ => "check the address, that the brokers run, and that security.protocol is what this port speaks",
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn lines<T: fmt::Display>(items: &[T]) -> String {
    let lines: Vec<_> = items.iter().map(|item| format!("  {item}")).collect();
    lines.join("\n")
}
