//! A running Apicurio Registry, which speaks the schema registry API that Kafka clients know.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use prunella_model::ByteSize;

use crate::archive::ClassArchive;
use crate::bundle::Bundle;
use crate::config::setting;
use crate::data_dir::{DataDir, require_free_space};
use crate::environment::Environment;
use crate::error::LocalKafkaError;
use crate::java::Java;
use crate::launch::{RunningServer, ServerPlan, jvm};
use crate::ports;
use crate::progress::Progress;

const WHAT: &str = "schema registry";
const RUNNER: &str = "apicurio-registry-app-3.0.9-runner.jar";
const API: &str = "/apis/ccompat/v7";
const ATTEMPTS: u32 = 4;
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

const APICURIO: Bundle = Bundle {
    directory: "apicurio-registry-3.0.9",
    what: "Apicurio Registry 3.0.9",
    download_size: "109 MB",
    disk_size: ByteSize::from_mib(350),
    pom: include_str!("../registry/pom.xml"),
    goal: "org.apache.maven.plugins:maven-dependency-plugin:unpack",
    sums: include_str!("../registry/files.sha256"),
};

#[derive(Debug, Clone)]
pub struct LocalRegistryConfig {
    /// Holds the schemas and what the registry says; survives restarts. Not that of a broker.
    pub data_dir: PathBuf,
    /// `None` picks a free port and keeps it for this data directory as long as nobody else takes it.
    pub port: Option<u16>,
    pub heap: ByteSize,
    pub environment: Environment,
    pub start_timeout: Duration,
    pub stop_timeout: Duration,
    pub min_free_space: ByteSize,
}

impl LocalRegistryConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            heap: ByteSize::from_mib(384),
            environment: Environment::of_process(),
            start_timeout: Duration::from_secs(90),
            stop_timeout: Duration::from_secs(30),
            min_free_space: ByteSize::from_mib(256),
        }
    }
}

/// A schema registry that runs as long as this value lives, and never longer than this process.
pub struct LocalRegistry {
    // Dropped in this order: the directory is released when the server is gone.
    server: RunningServer,
    base_url: String,
    _data: DataDir,
}

impl LocalRegistry {
    /// Fetches and checks the files without starting anything, for whoever wants that done ahead.
    pub fn fetch(environment: &Environment, progress: &dyn Fn(Progress)) -> Result<(), LocalKafkaError> {
        Java::find(environment)?;
        APICURIO.locate(environment, progress).map(drop)
    }

    /// Returns when the registry answers: about three seconds on a data directory that was used before, more the first time.
    pub fn start(config: LocalRegistryConfig, progress: &dyn Fn(Progress)) -> Result<Self, LocalKafkaError> {
        let began = Instant::now();
        if config.data_dir.to_string_lossy().contains([';', '\n']) {
            return Err(setting(
                "data_dir",
                &config.data_dir.to_string_lossy(),
                "the database separates its settings by ';'",
            ));
        }
        let data = DataDir::claim(&config.data_dir)?;
        require_free_space(data.path(), config.min_free_space)?;
        let java = Java::find(&config.environment)?;
        let runner = APICURIO.locate(&config.environment, progress)?.join(RUNNER);
        data.stop_stale_server(progress)?;

        let (server, port) = launch(&config, &data, &java, &runner, progress)?;
        let address = format!("127.0.0.1:{port}");
        let base_url = format!("http://{address}{API}");
        tracing::info!(base_url, pid = server.pid(), "local schema registry is ready");
        progress(Progress::Ready { what: WHAT, address, took: began.elapsed() });
        Ok(Self { server, base_url, _data: data })
    }

    /// `http://127.0.0.1:port/apis/ccompat/v7`
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn pid(&self) -> u32 {
        self.server.pid().unsigned_abs()
    }

    pub fn log_file(&self) -> &Path {
        self.server.log_file()
    }

    /// `None` while the registry runs, else why it ended.
    pub fn failure(&self) -> Option<LocalKafkaError> {
        self.server.failure()
    }

    /// As `LocalKafka::stop`.
    pub fn stop(mut self) -> Result<(), LocalKafkaError> {
        self.server.stop()
    }
}

fn launch(
    config: &LocalRegistryConfig,
    data: &DataDir,
    java: &Java,
    runner: &Path,
    progress: &dyn Fn(Progress),
) -> Result<(RunningServer, u16), LocalKafkaError> {
    let mut archive = ClassArchive::prepare(&config.environment.cache_dir, "apicurio", java, runner.as_os_str());
    let port_file = data.join("port");
    let mut attempt = 1;
    loop {
        let port = ports::choose(config.port, &port_file, &[])?;
        progress(Progress::Starting { what: WHAT, address: format!("127.0.0.1:{port}") });
        let command = command(config, data, java, runner, port, &archive)?;
        let plan = ServerPlan {
            what: WHAT,
            port,
            log: data.join("server.log"),
            start_timeout: config.start_timeout,
            stop_timeout: config.stop_timeout,
        };
        let error = match plan.launch(command, data, &|_| answers(port)) {
            Ok(server) => return Ok((server.with_archive(archive), port)),
            Err(error) => error,
        };
        let again = match &error {
            LocalKafkaError::PortTaken { .. } if config.port.is_none() => {
                ports::forget(&port_file)?;
                true
            }
            LocalKafkaError::Exited { .. } => archive.discard(),
            _ => false,
        };
        if !again || attempt == ATTEMPTS {
            return Err(error);
        }
        tracing::warn!(%error, attempt, "the registry did not start, trying again");
        attempt += 1;
    }
}

fn command(
    config: &LocalRegistryConfig,
    data: &DataDir,
    java: &Java,
    runner: &Path,
    port: u16,
    archive: &ClassArchive,
) -> Result<Command, LocalKafkaError> {
    let scratch = data.fresh_scratch()?;
    let mut command = jvm(java, config.heap, &scratch, archive);
    command
        .args(["-Dquarkus.http.host=127.0.0.1", "-Dquarkus.http.access-log.enabled=false"])
        .arg(format!("-Dquarkus.http.port={port}"))
        .args(["-Dquarkus.log.console.enable=false", "-Dquarkus.log.file.enable=true"])
        .arg(format!("-Dquarkus.log.file.path={}", data.join("server.log").display()))
        .arg(format!("-Dapicurio.datasource.url=jdbc:h2:file:{}", data.join("schemas").display()))
        .arg("-jar")
        .arg(runner);
    Ok(command)
}

/// Whether the registry lists its subjects, which it can only do when its database is ready.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut connection = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        connection.set_read_timeout(Some(PROBE_TIMEOUT))?;
        write!(connection, "GET {API}/subjects HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
        let mut status_line = [0; 12];
        connection.read_exact(&mut status_line)?;
        Ok(status_line == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
