//! What can go wrong with a local server, and the ways out.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_model::Code;

/// Why a local server could not be started, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LocalKafkaError {
    #[error(
        "no Java was found (looked at {looked}): install a Java 17 or newer (Debian: apt-get install default-jre-headless; \
         or run scripts/setup-java.sh), set JAVA_HOME, use a Kafka that already runs with --brokers host:port, or start \
         everything with `docker compose up`"
    )]
    JavaMissing { looked: String },
    #[error(
        "{} is Java {version}, Kafka needs 17 or newer: install one (Debian: apt-get install default-jre-headless) and point \
         JAVA_HOME at it, or use a Kafka that already runs with --brokers host:port", java.display()
    )]
    JavaTooOld { java: PathBuf, version: String },
    #[error(
        "{what} is not in {} yet and no `mvn` was found to fetch it: install Maven (Debian: apt-get install maven; or run \
         scripts/setup-java.sh), set KAFKA_HOME to an unpacked Apache Kafka, use a Kafka that already runs with \
         --brokers host:port, or start everything with `docker compose up`", cache.display()
    )]
    MavenMissing { what: &'static str, cache: PathBuf },
    #[error("Maven could not fetch {what} ({status}); its last lines:\n{output}")]
    MavenFailed { what: &'static str, status: String, output: String },
    #[error(
        "{what} could not be downloaded: Maven cannot reach its repository. Behind a proxy or with a mirror, name it in \
         ~/.m2/settings.xml; without a network, set KAFKA_HOME to an unpacked Apache Kafka or use --brokers host:port. \
         Maven's last lines:\n{output}"
    )]
    Download { what: &'static str, output: String },
    #[error(
        "{} has {found}, expected SHA-256 {expected}: the file is damaged or was changed. Remove the directory {} \
         and start again; if it comes back, remove the file of the same name below ~/.m2/repository as well",
        file.display(), remove.display()
    )]
    Checksum { file: PathBuf, expected: String, found: String, remove: PathBuf },
    #[error(
        "KAFKA_HOME is {}, {reason}: point it at an unpacked Apache Kafka 4 (the directory that holds libs/), or unset it \
         to have one fetched", path.display()
    )]
    KafkaHome { path: PathBuf, reason: String },
    #[error(
        "port {port} on 127.0.0.1 is taken by another program: choose another port, leave the port out to have a free one \
         chosen, or use what runs there with --brokers 127.0.0.1:{port}"
    )]
    PortTaken { port: u16 },
    #[error("the disk that holds {} is full: {detail}. Free some space or choose another directory", path.display())]
    DiskFull { path: PathBuf, detail: String },
    #[error(
        "the data directory {} is in use by a running server ({owner}): stop that one, connect to it with --brokers, or \
         choose another data directory", path.display()
    )]
    DataDirInUse { path: PathBuf, owner: String },
    #[error("the {what} ended by itself ({status}); what it said last, in {}:\n{tail}", log.display())]
    Exited { what: &'static str, status: String, log: PathBuf, tail: String },
    #[error(
        "the {what} was not ready after {after:?}: on a slow machine give it more time; what it said last, in {}:\n{tail}",
        log.display()
    )]
    StartTimeout { what: &'static str, after: Duration, log: PathBuf, tail: String },
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{tool} failed ({status}):\n{output}")]
    ToolFailed { tool: &'static str, status: String, output: String },
    #[error("{name} cannot be {value:?} for a local Kafka: {reason}")]
    Setting { name: String, value: String, reason: String },
}

impl LocalKafkaError {
    pub fn code(&self) -> Code {
        match self {
            Self::JavaMissing { .. } => Code::JavaMissing,
            Self::JavaTooOld { .. } => Code::JavaTooOld,
            Self::MavenMissing { .. } => Code::MavenMissing,
            Self::MavenFailed { .. } => Code::MavenFailed,
            Self::Download { .. } => Code::LocalDownload,
            Self::Checksum { .. } => Code::LocalChecksum,
            Self::KafkaHome { .. } => Code::KafkaHome,
            Self::PortTaken { .. } => Code::LocalPortTaken,
            Self::DiskFull { .. } => Code::LocalDiskFull,
            Self::DataDirInUse { .. } => Code::LocalDataDirInUse,
            Self::Exited { .. } => Code::LocalServerExited,
            Self::StartTimeout { .. } => Code::LocalStartTimeout,
            Self::Io { .. } => Code::LocalFiles,
            Self::ToolFailed { .. } => Code::LocalToolFailed,
            Self::Setting { .. } => Code::Config,
        }
    }

    /// For `map_err`: a full disk is told apart from every other failure of the file system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull {
                return Self::DiskFull { path: path.to_owned(), detail: source.to_string() };
            }
            Self::Io { action, path: path.to_owned(), source }
        }
    }
}
