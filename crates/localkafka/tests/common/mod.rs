//! What the test files share: quiet progress, fake programs and a few Kafka calls.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use prunella_localkafka::{Environment, LocalKafka, Progress};
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

pub(crate) fn show(progress: Progress) {
    eprintln!("{progress}");
}

/// An executable shell script.
pub(crate) fn program(directory: &Path, name: &str, script: &str) {
    fs::create_dir_all(directory).expect("a directory for programs");
    let file = directory.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("script written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("script executable");
}

/// An environment in which only the programs of `directory` exist and nothing is cached.
pub(crate) fn bare_environment(directory: &Path) -> Environment {
    fs::create_dir_all(directory.join("bin")).expect("a directory for programs");
    Environment {
        path: directory.join("bin").into_os_string(),
        java_home: None,
        kafka_home: None,
        cache_dir: directory.join("cache"),
    }
}

/// The real programs and jars, but a cache of its own for everything else.
pub(crate) fn environment_with_own_cache(directory: &Path) -> Environment {
    let real = Environment::of_process();
    LocalKafka::fetch(&real, &show).expect("the jars of Kafka");
    let cache_dir = directory.join("cache");
    fs::create_dir_all(&cache_dir).expect("a cache");
    symlink(real.cache_dir.join("kafka-4.3.0"), cache_dir.join("kafka-4.3.0")).expect("the jars linked");
    Environment { cache_dir, ..real }
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The values of the first `count` records of partition 0.
pub(crate) fn consume(bootstrap_servers: &str, topic: &str, count: usize) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "reader")
        .set("fetch.message.max.bytes", "100000000")
        .set("receive.message.max.bytes", "200000000")
        .create()
        .expect("a consumer");
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
    consumer.assign(&start).expect("assigned");
    (0..count)
        .map(|index| {
            let message = consumer
                .poll(Duration::from_secs(20))
                .unwrap_or_else(|| panic!("record {index} of {topic} did not come"))
                .expect("a record");
            message.payload().expect("a value").to_vec()
        })
        .collect()
}
