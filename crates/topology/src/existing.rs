use std::collections::BTreeMap;

/// What a cluster has, of the topics that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterShape {
    /// Brokers that are up.
    pub brokers: usize,
    /// By full name; topics that do not exist are not in it.
    pub topics: BTreeMap<String, ExistingTopic>,
}

/// A topic as the cluster has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExistingTopic {
    pub partitions: i32,
    /// Copies of the partition that has the fewest.
    pub replication: i32,
    /// Every setting in force by Kafka's names, set on the topic or a default of the brokers.
    pub config: BTreeMap<String, String>,
}

impl ExistingTopic {
    /// The value in force, if the broker knows this setting.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }
}
