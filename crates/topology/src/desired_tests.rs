use prunella_model::Period;

use super::*;

fn refusal(config: TopicsConfig) -> String {
    let error = Topology::new(config).expect_err("not valid");
    assert_eq!(error.code(), prunella_model::Code::Config);
    error.to_string()
}

fn with_override(topic: &str, exception: TopicOverride) -> TopicsConfig {
    TopicsConfig { overrides: BTreeMap::from([(topic.to_owned(), exception)]), ..TopicsConfig::default() }
}

fn setting(key: &str, value: &str) -> TopicOverride {
    let config = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    TopicOverride { config, ..TopicOverride::default() }
}

#[test]
fn home_topics_have_equal_counts_and_single_ones_stay_single() {
    for (partitions, home_partitions, home, other) in
        [(None, None, 32, 12), (Some(4), None, 4, 4), (Some(4), Some(64), 64, 4)]
    {
        let config = TopicsConfig { partitions, home_partitions, ..TopicsConfig::default() };
        let topics = Topology::new(config).expect("valid").shared_topics();
        for topic in topics {
            let expected = match topic.kind {
                TopicKind::StageExtract
                | TopicKind::StageProgress
                | TopicKind::StateRuns
                | TopicKind::StateExtractions
                | TopicKind::StageHeal
                | TopicKind::StateParked
                | TopicKind::StateMappings
                | TopicKind::StateSamples => home,
                TopicKind::StateWorkflows | TopicKind::StateSchemas | TopicKind::StateOperations => 1,
                TopicKind::StageTransform | TopicKind::StageValidate => other,
                _ => continue,
            };
            assert_eq!(topic.partitions, expected, "{}", topic.name);
        }
    }
}

#[test]
fn an_override_that_would_part_the_home_topics_is_refused() {
    let exception = TopicOverride { partitions: Some(8), ..TopicOverride::default() };
    let reason = refusal(with_override("state.runs", exception));
    assert!(reason.contains("topics.home-partitions"), "{reason}");
}

#[test]
fn mistakes_in_overrides_are_named() {
    let retention = TopicOverride { retention: Some(Period::from_secs(60)), ..TopicOverride::default() };
    let no_partitions = TopicOverride { partitions: Some(0), ..TopicOverride::default() };
    for (topic, exception, complaint) in [
        ("stage.transfrom", TopicOverride::default(), "expected one of"),
        ("state.runs", retention, "compacted"),
        ("log.runs", no_partitions, "at least 1"),
        ("state.runs", setting("cleanup.policy", "delete"), "only that of output topics"),
        ("output", setting("retention.ms", "1"), "set `retention`"),
        ("output", setting("min.insync.replicas", "1"), "topics.min-insync-replicas"),
    ] {
        let reason = refusal(with_override(topic, exception));
        assert!(reason.contains(complaint) && reason.contains(topic), "{reason}");
    }
}

#[test]
fn an_output_topic_may_be_compacted_and_the_name_wins_over_the_kind() {
    let mut config = with_override("output", setting("cleanup.policy", "compact,delete"));
    config.overrides.insert("output.default.orders".to_owned(), setting("cleanup.policy", "compact"));
    let topology = Topology::new(config).expect("valid");
    let policy = |workflow: &str| {
        let workspace = WorkspaceName::default_workspace();
        let topics = topology.workflow_topics(&workspace, &workflow.parse().expect("valid name"));
        assert_eq!(topics.len(), 3);
        topics[1].config["cleanup.policy"].clone()
    };
    assert_eq!(policy("orders"), "compact");
    assert_eq!(policy("returns"), "compact,delete");
}

#[test]
fn a_minimum_that_cannot_be_met_is_refused() {
    let reason = refusal(TopicsConfig {
        replication: Replication::Fixed(2),
        min_insync_replicas: MinInsyncReplicas::Fixed(3),
        ..TopicsConfig::default()
    });
    assert!(reason.contains("nothing could be written"), "{reason}");
}

/// A 60 MB trigger must be accepted, and dead-lettered with its error headers.
#[test]
fn whatever_a_trigger_accepts_fits_into_the_dead_letters() {
    let topology = Topology::new(TopicsConfig::default()).expect("valid");
    let workspace = WorkspaceName::default_workspace();
    let size = |topic: &DesiredTopic| topic.config["max.message.bytes"].parse::<u64>().expect("a number");
    let [trigger, _, dead_letter] = &topology.workflow_topics(&workspace, &"orders".parse().expect("valid name"))[..]
    else {
        panic!("three topics")
    };
    assert!(size(trigger) > 60_000_000);
    assert!(size(dead_letter) > size(trigger));
    assert!(size(&topology.desired(&TopicName::Shared(TopicKind::DeadLetterSystem))) > size(trigger));
}
