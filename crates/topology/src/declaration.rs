use std::collections::BTreeMap;
use std::fmt;

use prunella_model::Period;
use serde::{Deserialize, Serialize};

/// What one file of `topics/` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TopicDeclaration {
    /// Name without the prefix; `{workspace}` and `{workflow}` stand for names.
    pub name: String,
    /// What the topic is for, one or two sentences.
    pub purpose: String,
    /// Number of partitions unless the configuration says otherwise.
    pub partitions: i32,
    /// Whether the number of partitions is fixed once the topic exists.
    #[serde(default)]
    pub fixed_partitions: bool,
    /// Whether this topic has as many partitions as all others that say so.
    #[serde(default)]
    pub co_partitioned: bool,
    pub cleanup: Cleanup,
    /// How long records are kept; topics with `cleanup: compact` have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Period>,
    /// What the record key is.
    pub key: String,
    /// Control records that stand in the topic, by the name of their schema, or `user-data` or `avro-schema`.
    pub value: Vec<String>,
    /// Services that write to it; `users` are programs that are not Prunella's.
    pub writers: Vec<String>,
    /// Services that read it; `users` are programs that are not Prunella's.
    pub readers: Vec<String>,
    /// Further topic settings, by Kafka's names and in Kafka's units.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// What Kafka does with old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cleanup {
    /// Drops them after the retention.
    Delete,
    /// Keeps the last one of each key.
    Compact,
}

impl Cleanup {
    /// Value of `cleanup.policy`.
    pub const fn policy(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
        }
    }
}

impl fmt::Display for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.policy())
    }
}

/// Settings that have a field of their own in the file or in the configuration.
pub(crate) const OWNED_SETTINGS: [&str; 3] = ["cleanup.policy", "min.insync.replicas", "retention.ms"];

impl TopicDeclaration {
    pub(crate) fn parse(yaml: &str) -> Result<Self, String> {
        let declaration: Self = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        declaration.validate()?;
        Ok(declaration)
    }

    fn validate(&self) -> Result<(), String> {
        if self.partitions < 1 {
            return Err(format!("partitions is {}: expected at least 1", self.partitions));
        }
        if self.co_partitioned && !self.fixed_partitions {
            return Err("co-partitioned needs fixed-partitions".to_owned());
        }
        match (self.cleanup, self.retention) {
            (Cleanup::Delete, None) => return Err("cleanup: delete needs a retention".to_owned()),
            (Cleanup::Compact, Some(_)) => {
                return Err("cleanup: compact has no retention".to_owned());
            }
            _ => {}
        }
        if let Some(owned) = OWNED_SETTINGS.iter().find(|owned| self.config.contains_key(**owned)) {
            return Err(format!("config must not hold {owned}: it has a field of its own"));
        }
        Ok(())
    }

    /// Whether the topic has one partition by its nature, whatever the installation's size.
    pub(crate) fn is_single_partition(&self) -> bool {
        self.fixed_partitions && self.partitions == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;

    const VALID: &str = "\
name: t
purpose: p
partitions: 3
cleanup: delete
retention: 1day
key: k
value: [user-data]
writers: [users]
readers: [users]
";

    #[test]
    fn every_embedded_file_is_valid() {
        let catalogue = Catalogue::embedded().expect("every file parses");
        assert_eq!(catalogue.iter().count(), crate::TopicKind::ALL.len());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        TopicDeclaration::parse(VALID).expect("valid");
        for (broken, complaint) in [
            (VALID.replace("partitions: 3", "partitions: 0"), "at least 1"),
            (VALID.replace("cleanup: delete", "cleanup: compact"), "has no retention"),
            (VALID.replace("retention: 1day\n", ""), "needs a retention"),
            (VALID.replace("retention: 1day", "retention: 1"), "30s"),
            (format!("{VALID}co-partitioned: true\n"), "needs fixed-partitions"),
            (format!("{VALID}colour: red\n"), "colour"),
            (format!("{VALID}config:\n  retention.ms: \"1\"\n"), "retention.ms"),
        ] {
            let reason = TopicDeclaration::parse(&broken).expect_err(&broken);
            assert!(reason.contains(complaint), "{reason}");
        }
    }
}
