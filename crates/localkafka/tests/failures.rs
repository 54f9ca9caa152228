//! Every way in which a start can fail, with programs made up for it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use common::{bare_environment, eventually, is_alive, program, show};
use prunella_localkafka::{
    Credentials, Environment, LocalKafka, LocalKafkaConfig, LocalKafkaError, Progress, Security,
};
use prunella_model::{ByteSize, Code};
use tempfile::TempDir;

const VERSION_17: &str = r#"if [ "$1" = -version ]; then echo 'openjdk version "17.0.1" 2021-10-19' >&2; exit 0; fi"#;

/// A directory with programs, a cache and a data directory, all empty.
struct Fixture {
    directory: TempDir,
    environment: Environment,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let environment = bare_environment(directory.path());
        Self { directory, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        program(&self.path("bin"), name, script);
    }

    /// A `java` that says it is 17 and then does what `script` says, on a data directory that needs no formatting.
    fn with_java(script: &str) -> Self {
        let mut fixture = Self::new();
        fixture.program("java", &format!("{VERSION_17}\n{script}"));
        let libs = fixture.path("kafka/libs");
        fs::create_dir_all(&libs).expect("a directory");
        fs::write(libs.join("kafka_2.13-4.3.0.jar"), "").expect("a jar");
        fs::create_dir_all(fixture.path("data/log")).expect("a formatted data directory");
        fixture.environment.kafka_home = Some(fixture.path("kafka"));
        fixture
    }

    fn config(&self) -> LocalKafkaConfig {
        let mut config = LocalKafkaConfig::new(self.path("data"));
        config.environment = self.environment.clone();
        config
    }

    fn error(&self, code: Code, says: &[&str]) -> LocalKafkaError {
        expect_error(self.config(), code, says)
    }
}

fn expect_error(config: LocalKafkaConfig, code: Code, says: &[&str]) -> LocalKafkaError {
    let error = LocalKafka::start(config, &show).err().expect("the start fails");
    let text = error.to_string();
    assert_eq!(error.code(), code, "{text}");
    for part in says {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    error
}

#[test]
fn no_java() {
    let mut fixture = Fixture::new();
    fixture.error(Code::JavaMissing, &["default-jre-headless", "--brokers", "docker compose"]);
    fixture.program("java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1");
    fixture.error(Code::JavaMissing, &["Unable to locate a Java Runtime"]);
    fixture.environment.java_home = Some(fixture.path("jdk"));
    fixture.error(Code::JavaMissing, &["jdk/bin/java"]);
}

#[test]
fn java_too_old() {
    let fixture = Fixture::new();
    fixture.program("java", r#"echo 'openjdk version "11.0.22" 2024-01-16' >&2"#);
    fixture.error(Code::JavaTooOld, &["11.0.22", "17 or newer", "JAVA_HOME"]);
}

#[test]
fn no_maven_and_nothing_cached() {
    let fixture = Fixture::new();
    fixture.program("java", VERSION_17);
    fixture.error(Code::MavenMissing, &["Apache Kafka 4.3.0", "apt-get install maven", "KAFKA_HOME"]);
}

#[test]
fn maven_fails() {
    let fixture = Fixture::new();
    fixture.program("java", VERSION_17);
    fixture.program("mvn", "echo '[ERROR] The plugin is broken.'; echo '[ERROR] '; exit 1");
    fixture.error(Code::MavenFailed, &["The plugin is broken."]);
    fixture.program("mvn", "echo 'JAVA_HOME is not defined correctly' >&2; exit 1");
    fixture.error(Code::MavenFailed, &["JAVA_HOME is not defined correctly"]);
    fixture
        .program("mvn", "echo '[ERROR] Could not transfer artifact a:b: nowhere: Name or service not known'; exit 1");
    fixture.error(Code::LocalDownload, &["settings.xml", "Name or service not known"]);
}

#[test]
fn a_jar_that_is_not_what_it_should_be() {
    let fixture = Fixture::new();
    fixture.program("java", VERSION_17);
    let write_one_jar = r#"for argument; do case $argument in -Dprunella.output=*) out=${argument#*=};; esac; done
        PATH=/usr/bin:/bin; mkdir -p "$out"; echo tampered > "$out/HdrHistogram-2.2.2.jar""#;
    fixture.program("mvn", write_one_jar);
    fixture.error(Code::LocalChecksum, &["HdrHistogram-2.2.2.jar", "Remove the directory", ".m2/repository"]);
    assert!(!fixture.path("cache/kafka-4.3.0").exists(), "a bad jar must not reach the cache");

    let jars = fixture.path("cache/kafka-4.3.0");
    copy_real_jars(&jars);
    let jar = jars.join("kafka-raft-4.3.0.jar");
    let mut bytes = fs::read(&jar).expect("a jar");
    bytes[1000] ^= 1;
    fs::write(&jar, bytes).expect("damaged");
    fixture.error(Code::LocalChecksum, &["kafka-raft-4.3.0.jar"]);
    fs::remove_file(&jar).expect("removed");
    fixture.error(Code::LocalChecksum, &["kafka-raft-4.3.0.jar", "no readable content"]);
}

#[test]
fn two_processes_that_need_the_jars_fetch_them_once() {
    let fixture = Fixture::new();
    fixture.program("java", VERSION_17);
    let real = fixture.path("real");
    copy_real_jars(&real);
    let copy_slowly = format!(
        r#"for argument; do case $argument in -Dprunella.output=*) out=${{argument#*=}};; esac; done
        PATH=/usr/bin:/bin; echo run >> {0}/runs; sleep 0.5; cp -r {1} "$out""#,
        fixture.directory.path().display(),
        real.display(),
    );
    fixture.program("mvn", &copy_slowly);
    let together = Barrier::new(2);
    thread::scope(|scope| {
        let fetch = || {
            together.wait();
            LocalKafka::fetch(&fixture.environment, &show)
        };
        for thread in [scope.spawn(fetch), scope.spawn(fetch)] {
            thread.join().expect("no panic").expect("both have the jars");
        }
    });
    assert_eq!(fs::read_to_string(fixture.path("runs")).expect("runs"), "run\n");
    assert!(!fixture.path("cache/kafka-4.3.0.fetching").exists());
}

fn copy_real_jars(to: &Path) {
    let real = Environment::of_process();
    LocalKafka::fetch(&real, &show).expect("the jars of Kafka");
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(real.cache_dir.join("kafka-4.3.0")).expect("the cache") {
        let entry = entry.expect("a jar");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn kafka_home_without_kafka() {
    let mut fixture = Fixture::with_java("exit 0");
    let libs = fixture.path("kafka/libs");
    fs::rename(libs.join("kafka_2.13-4.3.0.jar"), libs.join("kafka_2.13-3.9.1.jar")).expect("renamed");
    fixture.error(Code::KafkaHome, &["Kafka 3.9.1, too old"]);
    fs::remove_file(libs.join("kafka_2.13-3.9.1.jar")).expect("removed");
    fixture.error(Code::KafkaHome, &["holds no libs/kafka_2.13"]);
    fixture.environment.kafka_home = Some(fixture.path("nowhere"));
    fixture.error(Code::KafkaHome, &["cannot be read"]);
}

#[test]
fn disk_full() {
    let fixture = Fixture::with_java("echo 'java.io.IOException: No space left on device'; exit 1");
    fixture.error(Code::LocalDiskFull, &["No space left on device", "Free some space"]);
    let mut config = fixture.config();
    config.min_free_space = ByteSize::from_bytes(u64::MAX);
    expect_error(config, Code::LocalDiskFull, &["MiB are free"]);
}

#[test]
fn a_port_taken_after_it_was_chosen() {
    let fixture = Fixture::with_java(
        r#"port=$(sed -n 's/^advertised.listeners=.*127.0.0.1://p' server.properties); echo "$port" >> ports
        echo "failed to bind to 127.0.0.1:$port: Address already in use"; exit 1"#,
    );
    fixture.error(Code::LocalPortTaken, &["--brokers"]);
    let tried = fs::read_to_string(fixture.path("data/ports")).expect("ports");
    assert_eq!(tried.lines().count(), 4, "an automatic port is chosen again: {tried}");

    let mut config = fixture.config();
    config.port = Some(29_876);
    expect_error(config, Code::LocalPortTaken, &["port 29876"]);
    let tried = fs::read_to_string(fixture.path("data/ports")).expect("ports");
    assert_eq!(tried.lines().count(), 5, "a port that was asked for is not replaced: {tried}");
}

#[test]
fn an_early_end_and_no_end() {
    let fixture = Fixture::with_java("echo 'ERROR the disk burns'; exit 3");
    fixture.error(Code::LocalServerExited, &["exit status: 3", "the disk burns", "server.log"]);

    let fixture = Fixture::with_java("echo 'ERROR still thinking'; exec /bin/sleep 100");
    let mut config = fixture.config();
    config.start_timeout = Duration::from_millis(300);
    expect_error(config, Code::LocalStartTimeout, &["300ms", "still thinking"]);
    assert!(!fixture.path("data/server.pid").exists(), "the broker that was too slow is stopped");
}

#[test]
fn an_archive_of_classes_that_a_broker_fails_with_is_removed() {
    let fixture = Fixture::with_java(
        r#"case "$*" in *SharedArchiveFile*) echo "$*" >> refused; exit 1;; esac
        for argument; do case $argument in -XX:ArchiveClassesAtExit=*) echo classes > "${argument#*=}";; esac; done
        trap 'exit 143' TERM
        echo 'Kafka Server started' > server.log
        while :; do /bin/sleep 0.02; done"#,
    );
    let archives = || {
        let entries = fs::read_dir(fixture.path("cache/classes")).expect("a cache of classes");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        names.filter(|name| name.ends_with(".jsa")).count()
    };
    LocalKafka::start(fixture.config(), &show).expect("it starts").stop().expect("it stops");
    assert_eq!(archives(), 1, "an orderly end makes an archive");
    let kafka = LocalKafka::start(fixture.config(), &show).expect("it starts without the archive");
    assert!(fixture.path("data/refused").exists(), "the archive was tried");
    assert_eq!(archives(), 0, "a bad archive is not tried again");
    kafka.stop().expect("it stops");
}

#[test]
fn a_broker_that_dies_later_is_noticed() {
    let fixture =
        Fixture::with_java("echo 'Kafka Server started' > server.log; /bin/sleep 0.2; echo 'ERROR late'; exit 9");
    let kafka = LocalKafka::start(fixture.config(), &show).expect("it starts");
    eventually("the end of the broker", || kafka.failure().is_some());
    let error = kafka.stop().expect_err("it ended by itself");
    assert!(error.to_string().contains("ERROR late"), "{error}");
}

#[test]
fn a_server_left_behind_is_stopped_and_a_stranger_is_not() {
    let fixture = Fixture::with_java("exit 3");
    let mut left_behind = Command::new("sleep").arg("100").spawn().expect("sleep starts");
    let pid_file = fixture.path("data/server.pid");
    let stale = format!("{} {}", left_behind.id(), start_time(left_behind.id()));
    let stopped = std::cell::Cell::new(0);
    let note = |progress: Progress| {
        if let Progress::StoppingStale { pid } = progress {
            stopped.set(pid.unsigned_abs());
        }
    };

    fs::write(&pid_file, format!("{} another-boot/42", left_behind.id())).expect("written");
    LocalKafka::start(fixture.config(), &note).err().expect("the fake broker ends");
    assert!(is_alive(left_behind.id()) && stopped.get() == 0, "the number is the same, the process is not");

    fs::write(&pid_file, stale).expect("written");
    LocalKafka::start(fixture.config(), &note).err().expect("the fake broker ends");
    assert_eq!(stopped.get(), left_behind.id());
    assert!(!left_behind.wait().expect("ended").success());
}

fn start_time(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let ticks =
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)).expect("field 22").to_owned();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    format!("{}/{ticks}", boot.trim())
}

#[test]
fn settings_that_cannot_be() {
    let fixture = Fixture::new();
    let mut config = fixture.config();
    config.extra_properties.insert("log.dirs".to_owned(), "/tmp".to_owned());
    expect_error(config, Code::Config, &["log.dirs"]);
    let mut config = fixture.config();
    config.data_dir = fixture.path("a,b");
    expect_error(config, Code::Config, &["commas"]);
    let mut config = fixture.config();
    config.security = Security::SaslSsl { users: vec![Credentials::new("me", "a,secret]")] };
    let error = expect_error(config, Code::Config, &["password"]);
    assert!(!error.to_string().contains("a,secret]") && !format!("{error:?}").contains("a,secret]"));
}
