use std::time::{Duration, Instant};

use prunella_model::Code;
use prunella_topology::{Cluster, TopologyError};
use rdkafka::ClientConfig;

use crate::support::{PASSWORD, USER, config, kafka, topology};

/// Long enough that an answer within seconds is not the timeout.
const TIMEOUT: Duration = Duration::from_secs(40);

async fn refusal(config: &ClientConfig) -> TopologyError {
    let started = Instant::now();
    let error = Cluster::connect(config, TIMEOUT).await.err().expect("no connection can be made");
    assert!(started.elapsed() < Duration::from_secs(20), "after {:?}: {error}", started.elapsed());
    error
}

#[tokio::test]
async fn the_right_credentials_are_accepted() {
    let kafka = kafka();
    Cluster::connect(&kafka.secured(USER, PASSWORD), TIMEOUT).await.expect("connected");
}

#[tokio::test]
async fn a_wrong_password_is_an_authentication_error() {
    let kafka = kafka();
    let error = refusal(&kafka.secured(USER, "guessed")).await;
    assert_eq!(error.code(), Code::BrokerAuthentication, "{error}");
    let text = error.to_string();
    assert!(text.contains("sasl.password") && !text.contains("guessed"), "{text}");
}

#[tokio::test]
async fn a_mechanism_that_the_broker_has_not_is_an_authentication_error() {
    let kafka = kafka();
    let mut config = kafka.secured(USER, PASSWORD);
    config.set("sasl.mechanism", "PLAIN");
    let error = refusal(&config).await;
    assert_eq!(error.code(), Code::BrokerAuthentication, "{error}");
    assert!(error.to_string().contains("SCRAM-SHA-256"), "what the broker has: {error}");
}

#[tokio::test]
async fn a_wrong_authority_is_a_tls_error() {
    let kafka = kafka();
    let mut config = kafka.secured(USER, PASSWORD);
    config.set("ssl.ca.location", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real_kafka/other-ca.pem"));
    let error = refusal(&config).await;
    assert_eq!(error.code(), Code::BrokerTls, "{error}");
    assert!(error.to_string().contains("ssl.ca.location"), "{error}");
}

#[tokio::test]
async fn a_missing_authority_file_is_a_tls_error() {
    let kafka = kafka();
    let mut config = kafka.secured(USER, PASSWORD);
    config.set("ssl.ca.location", "/nowhere/ca.pem");
    let error = refusal(&config).await;
    assert_eq!(error.code(), Code::BrokerTls, "{error}");
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn tls_towards_a_port_without_it_is_a_tls_error() {
    let kafka = kafka();
    let mut config = kafka.secured(USER, PASSWORD);
    config.set("bootstrap.servers", kafka.broker.bootstrap_servers());
    let error = refusal(&config).await;
    assert_eq!(error.code(), Code::BrokerTls, "{error}");
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_where() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", nobody.to_string());
    let started = Instant::now();
    let error = Cluster::connect(&config, Duration::from_secs(2)).await.err().expect("nobody is there");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(error.code(), Code::BrokerUnreachable);
    let text = error.to_string();
    assert!(text.contains(&nobody.to_string()) && text.contains("Connection refused"), "{text}");
}

#[tokio::test]
async fn an_option_that_does_not_exist_is_a_configuration_error() {
    let kafka = kafka();
    let mut config = kafka.plain();
    config.set("socket.timeout", "5");
    let error = refusal(&config).await;
    assert_eq!(error.code(), Code::Config, "{error}");
    assert!(error.to_string().contains("socket.timeout"), "{error}");
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    let kafka = kafka();
    let config = config();
    let desired = topology(&config).shared_topics();
    let limited = Cluster::connect(&kafka.secured(USER, PASSWORD), TIMEOUT).await.expect("connected");
    let assert_missing = |error: TopologyError, operation: &str| {
        assert_eq!(error.code(), Code::BrokerAuthorization, "{error}");
        assert!(error.to_string().contains(&format!("does not allow {operation} on topic")), "{error}");
    };

    assert_missing(limited.plan(&desired).await.expect_err("may see nothing"), "Describe");

    kafka.grant("Describe", &config.prefix);
    let plan = limited.plan(&desired).await.expect("sees that nothing is there");
    assert_missing(limited.apply(&plan, false).await.expect_err("may not create"), "Create");

    kafka.cluster().await.apply(&plan, false).await.expect("the administrator may");
    assert_missing(limited.check(&desired).await.expect_err("may not read settings"), "DescribeConfigs");

    kafka.grant("DescribeConfigs", &config.prefix);
    limited.check(&desired).await.expect("may look");
    let mut changed = desired;
    changed[0].config.insert("compression.type".to_owned(), "gzip".to_owned());
    let plan = limited.plan(&changed).await.expect("a plan");
    assert_missing(limited.apply(&plan, false).await.expect_err("may not change"), "AlterConfigs");

    let transform = changed.iter_mut().find(|topic| !topic.fixed_partitions).expect("one may grow");
    transform.partitions += 1;
    let only_partitions = [transform.clone()];
    let mut plan = limited.plan(&only_partitions).await.expect("a plan");
    plan.topics.retain(|planned| matches!(planned.action, prunella_topology::Action::AddPartitions { .. }));
    assert_missing(limited.apply(&plan, false).await.expect_err("may not alter"), "Alter");
}
