//! The real broker: what survives a restart, and what does not survive its parent.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{consume, environment_with_own_cache, eventually, is_alive, show};
use prunella_localkafka::{LocalKafka, LocalKafkaConfig, LocalKafkaError};
use prunella_model::Code;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rustix::process::Pid;

const DATA_DIR: &str = "PRUNELLA_TEST_DATA_DIR";

fn create_topic(bootstrap_servers: &str, topic: &str, max_message_bytes: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).create().expect("an admin client");
    let new_topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", max_message_bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let results = runtime.block_on(admin.create_topics([&new_topic], &AdminOptions::new())).expect("an answer");
    results.into_iter().for_each(|result| drop(result.expect("the topic")));
}

#[allow(clippy::disallowed_methods, reason = "a test waits for everything at once")]
fn produce(bootstrap_servers: &str, topic: &str, values: &[Vec<u8>]) {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("enable.idempotence", "true")
        .set("message.max.bytes", "110000000")
        .create()
        .expect("a producer");
    for value in values {
        producer.send(BaseRecord::<str, [u8]>::to(topic).payload(value)).map_err(|(error, _)| error).expect("queued");
    }
    producer.flush(Duration::from_secs(60)).expect("delivered");
}

#[test]
fn data_port_and_speed_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = LocalKafkaConfig::new(directory.path().join("data"));
    config.environment = environment_with_own_cache(directory.path());
    let start = || LocalKafka::start(config.clone(), &show);
    let values = [b"small".to_vec(), vec![b'x'; 95_000_000], b"last".to_vec()];

    // Started by a thread that ends: the broker belongs to the process, not to the thread.
    let kafka = thread::scope(|scope| scope.spawn(start).join().expect("no panic")).expect("the broker starts");
    let bootstrap_servers = kafka.bootstrap_servers();
    create_topic(&bootstrap_servers, "large", "100000000");
    produce(&bootstrap_servers, "large", &values);

    let second = start().err().expect("two brokers on one directory");
    assert_eq!(second.code(), Code::LocalDataDirInUse, "{second}");
    assert!(second.to_string().contains(&format!("process {}", std::process::id())), "{second}");

    let tool = kafka
        .tool("org.apache.kafka.tools.TopicCommand")
        .args(["--bootstrap-server", &bootstrap_servers, "--list"])
        .output()
        .expect("Kafka's own tools run");
    assert!(String::from_utf8_lossy(&tool.stdout).lines().any(|line| line == "large"), "{tool:?}");

    assert!(kafka.failure().is_none());
    let pid = kafka.pid();
    let group = rustix::process::getpgid(Pid::from_raw(pid.cast_signed())).expect("it runs");
    assert_eq!(group.as_raw_pid(), pid.cast_signed(), "Ctrl-C in a terminal must not reach the broker");
    kafka.stop().expect("stopped");
    assert!(!is_alive(pid));

    let archives = || fs::read_dir(config.environment.cache_dir.join("classes")).expect("a cache of classes");
    let archive = archives()
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "jsa"))
        .expect("an orderly end makes an archive of classes");

    let kafka = start().expect("the broker starts again");
    assert_eq!(kafka.bootstrap_servers(), bootstrap_servers);
    assert!(consume(&bootstrap_servers, "large", values.len()) == values, "other records than were produced");
    drop(kafka);

    let length = fs::metadata(&archive).expect("the archive").len();
    fs::remove_file(&archive).expect("removed");
    fs::write(&archive, vec![0xa5; usize::try_from(length / 2).expect("a size")]).expect("a broken archive");
    let _other = TcpListener::bind(&bootstrap_servers).expect("the port is free again");
    let kafka = start().expect("a broken archive and a taken port prevent nothing");
    assert_ne!(kafka.bootstrap_servers(), bootstrap_servers);
}

#[test]
fn kill_9_of_the_parent_leaves_no_broker_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let data_dir = directory.path().join("data");
    let mut parent = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "hold_a_broker_until_killed", "--ignored", "--nocapture"])
        .env(DATA_DIR, &data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the parent starts");
    let pid: u32 = BufReader::new(parent.stdout.take().expect("its output"))
        .lines()
        .find_map(|line| line.expect("text").split_once("broker pid ")?.1.parse().ok())
        .expect("the parent says the number of its broker");
    assert!(is_alive(pid));

    parent.kill().expect("SIGKILL");
    parent.wait().expect("killed");
    eventually("the end of the broker", || !is_alive(pid));

    let kafka = LocalKafka::start(LocalKafkaConfig::new(&data_dir), &show).expect("starts again after a crash");
    kafka.stop().expect("stopped");
}

#[test]
#[ignore = "the parent that the test above starts and kills"]
fn hold_a_broker_until_killed() {
    let Ok(data_dir) = std::env::var(DATA_DIR) else { return };
    let kafka = LocalKafka::start(LocalKafkaConfig::new(data_dir), &show).expect("the broker starts");
    println!("broker pid {}", kafka.pid());
    thread::sleep(Duration::from_secs(600));
}

#[test]
fn a_broker_that_cannot_run_says_why() {
    let directory = tempfile::tempdir().expect("a directory");
    let listening = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listening.local_addr().expect("an address").port();
    let mut config = LocalKafkaConfig::new(directory.path());
    config.port = Some(port);
    let error = LocalKafka::start(config.clone(), &show).err().expect("the port is taken");
    assert!(matches!(error, LocalKafkaError::PortTaken { port: named } if named == port), "{error}");

    // The tool that formats reads the same settings, so their first failure is its own.
    config.port = None;
    config.extra_properties.insert("log.retention.check.interval.ms".to_owned(), "0".to_owned());
    let error = LocalKafka::start(config.clone(), &show).err().expect("0 is not allowed");
    assert_eq!(error.code(), Code::LocalToolFailed, "{error}");
    assert!(error.to_string().contains("log.retention.check.interval.ms"), "{error}");

    // A class that does not exist is found out by the broker only.
    config.extra_properties.clear();
    config.extra_properties.insert("metric.reporters".to_owned(), "no.such.Reporter".to_owned());
    let error = LocalKafka::start(config, &show).err().expect("no such class");
    assert_eq!(error.code(), Code::LocalServerExited, "{error}");
    assert!(error.to_string().contains("no.such.Reporter"), "{error}");
}
