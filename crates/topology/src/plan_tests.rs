use proptest::prelude::*;

use super::*;
use crate::{TopicsConfig, Topology};

/// The shared topics with the default configuration.
fn desired() -> Vec<DesiredTopic> {
    Topology::new(TopicsConfig::default()).expect("valid").shared_topics()
}

fn wanted(name: &str) -> DesiredTopic {
    desired().into_iter().find(|topic| topic.name == format!("prunella.{name}")).expect(name)
}

/// What a cluster with three brokers has after `topic` was created.
fn created(topic: &DesiredTopic) -> ExistingTopic {
    let config = full_config(topic, 3);
    ExistingTopic { partitions: topic.partitions, replication: 3, config }
}

fn cluster_with(topics: impl IntoIterator<Item = (String, ExistingTopic)>) -> ClusterShape {
    ClusterShape { brokers: 3, topics: topics.into_iter().collect() }
}

/// The actions for one topic that was created and then changed.
fn actions_after(name: &str, change: impl FnOnce(&mut ExistingTopic)) -> Vec<Action> {
    let topic = wanted(name);
    let mut existing = created(&topic);
    change(&mut existing);
    let plan = Plan::between(&cluster_with([(topic.name.clone(), existing)]), &[topic]);
    plan.topics.into_iter().map(|planned| planned.action).collect()
}

fn set(topic: &mut ExistingTopic, key: &str, value: &str) {
    topic.config.insert(key.to_owned(), value.to_owned());
}

#[test]
fn on_an_empty_cluster_everything_is_created() {
    let plan = Plan::between(&cluster_with([]), &desired());
    assert_eq!(plan.topics.len(), desired().len());
    for planned in &plan.topics {
        let Action::Create { partitions, replication, config } = &planned.action else { panic!("{planned}") };
        assert!(*partitions >= 1);
        assert_eq!(*replication, 3);
        assert_eq!(config["min.insync.replicas"], "2");
        assert_eq!(config["message.timestamp.type"], "CreateTime", "{planned}");
    }
}

#[test]
fn what_was_created_is_unchanged() {
    let existing = cluster_with(desired().iter().map(|topic| (topic.name.clone(), created(topic))));
    let plan = Plan::between(&existing, &desired());
    assert!(plan.is_empty(), "{plan:?}");
    assert!(plan.topics.iter().all(|planned| planned.action == Action::Unchanged));
}

#[test]
fn the_same_value_in_other_words_is_no_change() {
    let actions = actions_after("state.runs", |topic| set(topic, "min.cleanable.dirty.ratio", "0.10"));
    assert_eq!(actions, [Action::Unchanged]);
}

#[test]
fn settings_that_nobody_declared_are_left_alone() {
    let actions = actions_after("log.runs", |topic| set(topic, "compression.type", "zstd"));
    assert_eq!(actions, [Action::Unchanged]);
}

#[test]
fn a_topic_with_fewer_copies_keeps_a_minimum_it_can_meet() {
    let actions = actions_after("log.runs", |topic| topic.replication = 1);
    let expected =
        Action::AlterConfig { key: "min.insync.replicas".to_owned(), from: Some("2".to_owned()), to: "1".to_owned() };
    assert_eq!(actions, [expected]);
}

#[test]
fn data_is_only_lost_with_permission() {
    for (name, key, from) in [
        ("log.runs", "retention.ms", "-1"),
        ("log.runs", "retention.ms", "9999999999999"),
        ("log.runs", "cleanup.policy", "compact"),
        ("state.runs", "cleanup.policy", "delete"),
        ("state.runs", "delete.retention.ms", "9999999999"),
    ] {
        let actions = actions_after(name, |topic| set(topic, key, from));
        let [Action::Refused { code: Code::TopicDataLoss, change: Some(change), .. }] = &actions[..] else {
            panic!("{name} {key} {from}: {actions:?}");
        };
        assert!(matches!(change.as_ref(), Action::AlterConfig { .. }), "{change}");
    }
}

#[test]
fn what_loses_nothing_is_simply_altered() {
    for (name, key, from) in [
        ("log.runs", "retention.ms", "1000"),
        ("state.runs", "cleanup.policy", "compact,delete"),
        ("state.runs", "delete.retention.ms", "1000"),
        ("state.runs", "max.message.bytes", "99999999"),
    ] {
        let actions = actions_after(name, |topic| set(topic, key, from));
        assert!(matches!(actions[..], [Action::AlterConfig { .. }]), "{name} {key} {from}: {actions:?}");
    }
}

#[test]
fn a_declared_number_of_copies_that_differs_is_noticed_and_left() {
    let config = TopicsConfig { replication: Replication::Fixed(2), ..TopicsConfig::default() };
    let topic = Topology::new(config).expect("valid").shared_topics().remove(0);
    let mut existing = created(&topic);
    existing.replication = 3;
    let plan = Plan::between(&cluster_with([(topic.name.clone(), existing)]), &[topic]);
    assert!(matches!(plan.topics[0].action, Action::Notice { .. }), "{plan:?}");
    assert!(plan.is_empty(), "nothing to apply");
}

#[test]
fn a_plan_is_written_for_machines_and_for_people() {
    let actions = actions_after("state.runs", |topic| topic.partitions = 16);
    let plan =
        Plan { topics: vec![PlannedTopic { topic: "prunella.state.runs".to_owned(), action: actions[0].clone() }] };
    let json = serde_json::to_value(&plan).expect("writes");
    assert_eq!(json[0]["topic"], "prunella.state.runs");
    assert_eq!(json[0]["action"], "refused");
    assert_eq!(json[0]["code"], "PRN-0205");
    let text = plan.topics[0].to_string();
    assert!(text.contains("it has 16 partitions and 32 are wanted"), "{text}");
    assert!(text.contains("set topics.home-partitions to 16"), "{text}");
}

proptest! {
    #[test]
    fn partitions_only_ever_grow_and_never_where_they_are_fixed(found in 1..100i32, index in 0..12usize) {
        let topic = desired().remove(index);
        let mut existing = created(&topic);
        existing.partitions = found;
        let plan = Plan::between(&cluster_with([(topic.name.clone(), existing)]), std::slice::from_ref(&topic));
        let grows = plan.topics.iter().any(|planned| matches!(planned.action, Action::AddPartitions { .. }));
        prop_assert_eq!(grows, !topic.fixed_partitions && found < topic.partitions);
        let is_refused = plan.refusals(true).count() == 1;
        prop_assert_eq!(is_refused, found != topic.partitions && !grows);
    }
}
