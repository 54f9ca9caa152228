use std::collections::BTreeMap;
use std::time::Duration;

use prunella_model::{Code, Period};
use prunella_topology::{Action, Cluster, DesiredTopic, Plan, TopicOverride, TopicsConfig, TopologyError};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use crate::support::{all_topics, config, kafka, topology};

async fn setting(cluster: &Cluster, topic: &str, key: &str) -> String {
    let shape = cluster.describe(&[topic.to_owned()]).await.expect("described");
    shape.topics[topic].setting(key).unwrap_or_default().to_owned()
}

async fn apply(cluster: &Cluster, desired: &[DesiredTopic]) -> usize {
    let plan = cluster.plan(desired).await.expect("a plan");
    cluster.apply(&plan, false).await.expect("applied").changes.len()
}

fn only(desired: Vec<DesiredTopic>, name: &str) -> Vec<DesiredTopic> {
    let found: Vec<_> = desired.into_iter().filter(|topic| topic.name == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found
}

fn with_override(config: &TopicsConfig, topic: &str, exception: TopicOverride) -> TopicsConfig {
    let overrides = BTreeMap::from([(topic.to_owned(), exception)]);
    TopicsConfig { overrides, ..config.clone() }
}

fn retention(days: u64) -> TopicOverride {
    TopicOverride { retention: Some(Period::from_secs(days * 86400)), ..TopicOverride::default() }
}

fn refusal_codes(plan: &Plan, allow_data_loss: bool) -> Vec<Code> {
    plan.refusals(allow_data_loss)
        .map(|planned| match planned.action {
            Action::Refused { code, .. } => code,
            ref other => panic!("{other} is no refusal"),
        })
        .collect()
}

#[tokio::test]
async fn applying_twice_changes_nothing_the_second_time() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let desired = all_topics(&config());

    assert_eq!(apply(&cluster, &desired).await, desired.len());
    let second = cluster.plan(&desired).await.expect("a plan");
    assert!(second.is_empty(), "{second:#?}");
    assert!(cluster.apply(&second, false).await.expect("applied").changes.is_empty());
    cluster.check(&desired).await.expect("what was applied is what services need");
}

#[tokio::test]
async fn what_is_created_has_the_declared_shape() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    apply(&cluster, &all_topics(&config)).await;

    let names = topology(&config).topics().clone();
    assert_eq!(setting(&cluster, &names.state_runs(), "cleanup.policy").await, "compact");
    assert_eq!(setting(&cluster, &names.state_runs(), "min.insync.replicas").await, "1");
    assert_eq!(setting(&cluster, &names.stage_control(), "retention.ms").await, "86400000");
    let shape = cluster.describe(&[names.state_workflows(), names.state_runs()]).await.expect("described");
    assert_eq!(shape.topics[&names.state_workflows()].partitions, 1);
    assert_eq!(shape.topics[&names.state_runs()].partitions, 2);
}

#[tokio::test]
async fn several_may_apply_at_the_same_time() {
    let kafka = kafka();
    let desired = all_topics(&config());
    let (one, other) = (kafka.cluster().await, kafka.cluster().await);
    let (first_plan, second_plan) =
        (one.plan(&desired).await.expect("a plan"), other.plan(&desired).await.expect("a plan"));

    let (first, second) = tokio::join!(one.apply(&first_plan, false), other.apply(&second_plan, false));
    let (first, second) = (first.expect("applied"), second.expect("applied"));
    let really_created = first.changes.iter().chain(&second.changes).filter(|outcome| !outcome.already_done).count();
    assert_eq!(really_created, desired.len(), "each topic was created by one of the two");
}

#[tokio::test]
async fn a_topic_that_others_created_in_another_shape_is_told() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let topology = topology(&config());
    let log = only(topology.shared_topics(), &topology.topics().log_runs());
    let plan = cluster.plan(&log).await.expect("a plan");
    kafka.create_by_hand(&log[0].name, 7, &[]).await;

    let error = cluster.apply(&plan, false).await.expect_err("not what was planned");
    assert_eq!(error.code(), Code::TopicChange);
    assert!(error.to_string().contains("`prunella topics plan` again"), "{error}");
}

#[tokio::test]
async fn a_changed_retention_is_altered_and_settings_of_others_stay() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let trigger = format!("{}trigger.default.orders", config.prefix);
    let mut settings = only(all_topics(&config), &trigger)[0].config.clone();
    settings.insert("compression.type".to_owned(), "gzip".to_owned());
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    kafka.create_by_hand(&trigger, 2, &settings).await;

    let longer = only(all_topics(&with_override(&config, "trigger", retention(9))), &trigger);
    let plan = cluster.plan(&longer).await.expect("a plan");
    let expected = Action::AlterConfig {
        key: "retention.ms".to_owned(),
        from: Some("604800000".to_owned()),
        to: "777600000".to_owned(),
    };
    assert!(plan.topics.iter().any(|planned| planned.action == expected), "{plan:#?}");
    cluster.apply(&plan, false).await.expect("applied");
    assert_eq!(setting(&cluster, &trigger, "retention.ms").await, "777600000");
    assert_eq!(setting(&cluster, &trigger, "compression.type").await, "gzip");
    assert!(cluster.plan(&longer).await.expect("a plan").is_empty());
}

#[tokio::test]
async fn a_shorter_retention_needs_the_permission_to_lose_data() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let output = format!("{}output.default.orders", config.prefix);
    apply(&cluster, &all_topics(&config)).await;

    // An override by the topic's own name, stronger than that of its kind.
    let mut shorter_config = with_override(&config, "output.default.orders", retention(1));
    shorter_config.overrides.insert("output".to_owned(), retention(30));
    let shorter = only(all_topics(&shorter_config), &output);
    let plan = cluster.plan(&shorter).await.expect("a plan");
    assert_eq!(refusal_codes(&plan, false), [Code::TopicDataLoss]);

    let error = cluster.apply(&plan, false).await.expect_err("refused");
    assert_eq!(error.code(), Code::TopicDataLoss);
    assert!(error.to_string().contains("--allow-data-loss"), "{error}");
    assert_eq!(setting(&cluster, &output, "retention.ms").await, "604800000");

    cluster.apply(&plan, true).await.expect("applied");
    assert_eq!(setting(&cluster, &output, "retention.ms").await, "86400000");
}

#[tokio::test]
async fn partitions_of_state_never_change_and_a_refusal_changes_nothing() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let names = topology(&config).topics().clone();
    let shared = topology(&config).shared_topics();
    apply(&cluster, &only(shared, &names.state_runs())).await;

    for other_count in [1, 3] {
        let changed = TopicsConfig { home_partitions: Some(other_count), ..config.clone() };
        let plan = cluster.plan(&topology(&changed).shared_topics()).await.expect("a plan");
        for allow_data_loss in [false, true] {
            assert_eq!(refusal_codes(&plan, allow_data_loss), [Code::TopicPartitions]);
            let error = cluster.apply(&plan, allow_data_loss).await.expect_err("refused");
            assert_eq!(error.code(), Code::TopicPartitions);
            assert!(error.to_string().contains("set topics.home-partitions to 2"), "{error}");
        }
    }
    let others = cluster.describe(&[names.stage_progress(), names.log_runs()]).await.expect("described");
    assert!(others.topics.is_empty(), "{others:?}");
}

#[tokio::test]
async fn partitions_of_other_topics_grow_and_do_not_shrink() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let names = topology(&config).topics().clone();
    let transform = names.stage_transform();
    apply(&cluster, &topology(&config).shared_topics()).await;

    let of_size = |partitions| {
        let exception = TopicOverride { partitions: Some(partitions), ..TopicOverride::default() };
        only(topology(&with_override(&config, "stage.transform", exception)).shared_topics(), &transform)
    };
    assert_eq!(apply(&cluster, &of_size(5)).await, 1);
    assert!(cluster.plan(&of_size(5)).await.expect("a plan").is_empty());

    let plan = cluster.plan(&of_size(3)).await.expect("a plan");
    let error = cluster.apply(&plan, true).await.expect_err("Kafka cannot take partitions away");
    assert_eq!(error.code(), Code::TopicDataLoss);
    assert!(error.to_string().contains("topics.overrides.stage.transform.partitions to 5"), "{error}");
}

#[tokio::test]
async fn cleanup_does_not_change_without_permission() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    let names = topology(&config).topics().clone();
    kafka.create_by_hand(&names.state_runs(), 2, &[("cleanup.policy", "delete")]).await;
    kafka.create_by_hand(&names.log_runs(), 2, &[("cleanup.policy", "compact")]).await;

    for (topic, consequence) in
        [(names.state_runs(), "all but the last record of each key"), (names.log_runs(), "once it is old")]
    {
        let desired = only(topology(&config).shared_topics(), &topic);
        let plan = cluster.plan(&desired).await.expect("a plan");
        let error = cluster.apply(&plan, false).await.expect_err("refused");
        assert_eq!(error.code(), Code::TopicDataLoss);
        assert!(error.to_string().contains(consequence), "{error}");

        cluster.apply(&plan, true).await.expect("applied");
        assert_eq!(setting(&cluster, &topic, "cleanup.policy").await, desired[0].config["cleanup.policy"]);
    }
}

#[tokio::test]
async fn what_the_cluster_cannot_do_is_an_error_that_names_the_topic() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = TopicsConfig { replication: "3".parse().expect("a number"), ..config() };
    let plan = cluster.plan(&topology(&config).shared_topics()).await.expect("a plan");
    let error = cluster.apply(&plan, false).await.expect_err("one broker cannot hold three copies");
    assert!(matches!(error, TopologyError::Change { .. }), "{error:?}");
    assert_eq!(error.code(), Code::TopicChange);
    assert!(error.to_string().contains("set topics.replication"), "{error}");

    let exception = TopicOverride {
        config: BTreeMap::from([("segment.bytes".to_owned(), "lots".to_owned())]),
        ..TopicOverride::default()
    };
    let config = TopicsConfig { replication: "auto".parse().expect("auto"), ..config };
    apply(&cluster, &topology(&config).shared_topics()).await;
    let plan =
        cluster.plan(&topology(&with_override(&config, "log.audit", exception)).shared_topics()).await.expect("a plan");
    let error = cluster.apply(&plan, false).await.expect_err("not a number");
    assert_eq!(error.code(), Code::TopicChange);
    assert!(error.to_string().contains("lots"), "the broker's own words: {error}");
}

/// The largest trigger that is promised, and the same record again with its error headers.
#[tokio::test]
async fn a_trigger_of_60_mb_is_accepted_and_fits_into_the_dead_letters() {
    let kafka = kafka();
    let cluster = kafka.cluster().await;
    let config = config();
    apply(&cluster, &all_topics(&config)).await;

    let mut client = kafka.plain();
    client.set("message.max.bytes", "100000000").set("queue.buffering.max.kbytes", "400000");
    let producer: FutureProducer = client.create().expect("a client");
    let value = vec![b'x'; 60_000_000];
    let explanation = vec![b'e'; 100_000];
    for (kind, headers) in [
        ("trigger", OwnedHeaders::new()),
        ("deadletter", OwnedHeaders::new().insert(Header { key: "error", value: Some(&explanation) })),
    ] {
        let topic = format!("{}{kind}.default.orders", config.prefix);
        let record: FutureRecord<'_, str, [u8]> =
            FutureRecord::to(&topic).key("k").payload(value.as_slice()).headers(headers);
        if let Err((error, _)) = producer.send(record, Timeout::After(Duration::from_secs(30))).await {
            panic!("{topic}: {error}");
        }
    }
}
