//! The listener with TLS and passwords, and ACLs in force.

mod common;

use std::time::{Duration, Instant};

use common::show;
use prunella_localkafka::{Credentials, LocalKafka, LocalKafkaConfig, SecuredListener, Security};
use prunella_model::Code;
use rdkafka::Offset;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientConfig, TopicPartitionList};

fn client(listener: &SecuredListener, credentials: &Credentials) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &listener.bootstrap_servers)
        .set("security.protocol", "SASL_SSL")
        .set("ssl.ca.location", listener.ca_file.to_string_lossy())
        .set("sasl.mechanisms", "SCRAM-SHA-256")
        .set("sasl.username", &credentials.user)
        .set("sasl.password", &credentials.password)
        .set("group.id", "reader");
    config
}

fn create_topic(config: &ClientConfig, topic: &str) -> Result<(), RDKafkaErrorCode> {
    let admin = AdminClient::<DefaultClientContext>::from_config(config).expect("an admin client");
    let new_topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut results = runtime.block_on(admin.create_topics([&new_topic], &AdminOptions::new())).expect("an answer");
    results.remove(0).map(drop).map_err(|(_, code)| code)
}

/// What goes wrong first for a consumer of the topic `secret`.
fn trouble(config: &ClientConfig) -> RDKafkaErrorCode {
    let consumer = BaseConsumer::from_config(config).expect("a consumer");
    let mut partition = TopicPartitionList::new();
    partition.add_partition_offset("secret", 0, Offset::Beginning).expect("an offset");
    consumer.assign(&partition).expect("assigned");
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            // The consequence, which comes after the cause or before it.
            Some(Err(KafkaError::Global(
                RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure,
            ))) => {}
            Some(Err(KafkaError::MessageConsumption(code) | KafkaError::Global(code))) => return code,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    panic!("nothing went wrong in time")
}

#[test]
fn the_right_password_opens_and_everything_else_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain_user = Credentials::new("reader", "reader-password");
    let mut config = LocalKafkaConfig::new(directory.path());
    config.security = Security::SaslSsl { users: vec![plain_user.clone()] };
    let kafka = LocalKafka::start(config.clone(), &show).expect("the broker starts");
    let listener = kafka.secured().expect("a secured listener").clone();

    create_topic(&client(&listener, &listener.administrator), "secret").expect("the administrator may");
    let refused = create_topic(&client(&listener, &plain_user), "other");
    assert!(
        matches!(
            refused,
            Err(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
        ),
        "{refused:?}"
    );

    let reader = client(&listener, &plain_user);
    assert_eq!(trouble(&reader), RDKafkaErrorCode::GroupAuthorizationFailed, "no ACL allows the user to read");
    let wrong = client(&listener, &Credentials::new("reader", "wrong-password"));
    assert_eq!(trouble(&wrong), RDKafkaErrorCode::Authentication, "a wrong password");
    let mut stranger = client(&listener, &plain_user);
    stranger.remove("ssl.ca.location");
    assert_eq!(trouble(&stranger), RDKafkaErrorCode::SSL, "a certificate that nothing known has signed");

    let mut plain = ClientConfig::new();
    plain.set("bootstrap.servers", kafka.bootstrap_servers());
    create_topic(&plain, "by-the-plain-listener").expect("this machine may do everything");
    kafka.stop().expect("stopped");

    config.security = Security::SaslSsl { users: vec![Credentials::new("reader", "another-password")] };
    let error = LocalKafka::start(config, &show).err().expect("users are fixed at the first use");
    assert_eq!(error.code(), Code::Config, "{error}");
}
