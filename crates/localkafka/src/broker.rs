//! A running single-node Apache Kafka.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::archive::ClassArchive;
use crate::config::{LocalKafkaConfig, Seat, Security};
use crate::data_dir::{DataDir, remove_dir_if_there, require_free_space};
use crate::environment::Environment;
use crate::error::LocalKafkaError;
use crate::installation;
use crate::java::Java;
use crate::launch::{RunningServer, ServerPlan, jvm};
use crate::log_tail;
use crate::ports;
use crate::progress::Progress;
use crate::properties::{self, Ports};
use crate::random;
use crate::secured::{SecuredFiles, SecuredListener, require_success};

const WHAT: &str = "Kafka broker";
/// A chosen port can be taken between the choice and the start, and an archive of classes can be bad.
const ATTEMPTS: u32 = 4;
const STARTED: &str = "Kafka Server started";

/// A Kafka broker that runs as long as this value lives, and never longer than this process.
///
/// Its data directory is ours alone from `start` to `stop` or drop.
pub struct LocalKafka {
    // Dropped in this order: the directory is released when the server is gone.
    server: RunningServer,
    bootstrap_servers: String,
    secured: Option<SecuredListener>,
    java: PathBuf,
    classpath: OsString,
    environment: Environment,
    _data: DataDir,
}

impl LocalKafka {
    /// Fetches and checks the jars without starting anything, for whoever wants that done ahead.
    pub fn fetch(environment: &Environment, progress: &dyn Fn(Progress)) -> Result<(), LocalKafkaError> {
        Java::find(environment)?;
        installation::classpath(environment, progress).map(drop)
    }

    /// Returns when the broker takes requests: about a second on a data directory that was used before, more the first time.
    ///
    /// `progress` is called from this thread with every step.
    pub fn start(config: LocalKafkaConfig, progress: &dyn Fn(Progress)) -> Result<Self, LocalKafkaError> {
        let began = Instant::now();
        config.validate()?;
        let data = DataDir::claim(&config.data_dir)?;
        require_free_space(data.path(), config.min_free_space)?;
        let java = Java::find(&config.environment)?;
        let classpath = installation::classpath(&config.environment, progress)?;
        data.stop_stale_server(progress)?;

        let start = Start { config: &config, data: &data, java: &java, classpath: &classpath };
        // A taken port is told before anything is formatted.
        start.choose_ports()?;
        let secured = start.format_if_new(progress)?;
        let (server, ports) = start.launch(secured.as_ref(), progress)?;
        let bootstrap_servers = format!("127.0.0.1:{}", ports.plain);
        progress(Progress::Ready { what: WHAT, address: bootstrap_servers.clone(), took: began.elapsed() });
        tracing::info!(bootstrap_servers, pid = server.pid(), data_dir = %data.path().display(), "local kafka is ready");
        Ok(Self {
            server,
            bootstrap_servers,
            secured: secured.zip(ports.secured).map(|(files, port)| files.listener(port)),
            java: java.program,
            classpath,
            environment: config.environment.clone(),
            _data: data,
        })
    }

    /// Of the plain listener, `127.0.0.1:port`.
    pub fn bootstrap_servers(&self) -> String {
        self.bootstrap_servers.clone()
    }

    /// The secured listener, if the configuration asked for one.
    pub fn secured(&self) -> Option<&SecuredListener> {
        self.secured.as_ref()
    }

    pub fn pid(&self) -> u32 {
        self.server.pid().unsigned_abs()
    }

    /// What the broker of this start says.
    pub fn log_file(&self) -> &Path {
        self.server.log_file()
    }

    /// `None` while the broker runs, else why it ended.
    pub fn failure(&self) -> Option<LocalKafkaError> {
        self.server.failure()
    }

    /// One of Kafka's own tools by its main class, such as `org.apache.kafka.tools.ConsoleProducer`; arguments are still to be
    /// added.
    pub fn tool(&self, main_class: &str) -> Command {
        let mut command = self.environment.command(&self.java);
        command
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(&self.classpath)
            .arg(main_class);
        command
    }

    /// Ends the broker in an orderly way; kills it if it takes longer than the configured time.
    ///
    /// An error tells that it had ended by itself before. Dropping the value does the same and logs the error.
    pub fn stop(mut self) -> Result<(), LocalKafkaError> {
        self.server.stop()
    }

    /// Ends a broker whose data nobody needs any more: at once, unless it is the first one and makes later starts faster by an
    /// orderly end.
    pub fn discard(mut self) -> Result<(), LocalKafkaError> {
        self.server.discard()
    }

    /// `kill -9`: what it has not written is lost, and its directory is as it is.
    pub fn kill(mut self) -> Result<(), LocalKafkaError> {
        self.server.kill()
    }
}

struct Start<'a> {
    config: &'a LocalKafkaConfig,
    data: &'a DataDir,
    java: &'a Java,
    classpath: &'a OsString,
}

impl Start<'_> {
    fn log_dir(&self) -> PathBuf {
        self.data.join("log")
    }

    /// The log directory appears in one step when it is complete, so that a killed attempt leaves nothing half formatted.
    fn format_if_new(&self, progress: &dyn Fn(Progress)) -> Result<Option<SecuredFiles>, LocalKafkaError> {
        let log_dir = self.log_dir();
        let formatted = log_dir.is_dir();
        let (config, environment) = (self.config, &self.config.environment);
        let secured = SecuredFiles::prepare(&config.security, self.data, formatted, self.java, environment, progress)?;
        if formatted {
            return Ok(secured);
        }
        progress(Progress::Formatting);
        let cluster_id = match &config.seat {
            Some(seat) => seat.cluster_id.clone(),
            None => random::cluster_id()?,
        };
        let formatting = self.data.join("log.formatting");
        remove_dir_if_there(&formatting)?;
        let settings = self.data.join("format.properties");
        // Nothing listens while formatting; the tool only wants the settings to be complete.
        let ports = Ports { plain: 9092, controller: 9093, secured: secured.as_ref().map(|_| 9094) };
        write_private(&settings, &properties::render(config, &formatting, ports, secured.as_ref()))?;
        let format = |archive: &ClassArchive| {
            let mut command = environment.command(&self.java.program);
            command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]).args(archive.jvm_argument());
            command.arg("-cp").arg(self.classpath);
            command.args(["kafka.tools.StorageTool", "format", "--cluster-id", &cluster_id, "--config"]).arg(&settings);
            command.args(secured.iter().flat_map(SecuredFiles::format_arguments));
            command.output().map_err(LocalKafkaError::io("run", &self.java.program))
        };
        let archive = ClassArchive::if_made(&environment.cache_dir, "kafka", self.java, self.classpath);
        let mut output = format(&archive)?;
        if !output.status.success() && matches!(archive, ClassArchive::Use(_)) {
            // Perhaps the archive was bad; the launch finds out.
            remove_dir_if_there(&formatting)?;
            output = format(&ClassArchive::None)?;
        }
        require_success("kafka.tools.StorageTool", &output)?;
        fs::rename(&formatting, &log_dir).map_err(LocalKafkaError::io("create", &log_dir))?;
        Ok(secured)
    }

    fn launch(
        &self,
        secured: Option<&SecuredFiles>,
        progress: &dyn Fn(Progress),
    ) -> Result<(RunningServer, Ports), LocalKafkaError> {
        let cache_dir = &self.config.environment.cache_dir;
        let mut archive = ClassArchive::prepare(cache_dir, "kafka", self.java, self.classpath);
        let mut attempt = 1;
        loop {
            let ports = self.choose_ports()?;
            progress(Progress::Starting { what: WHAT, address: format!("127.0.0.1:{}", ports.plain) });
            let command = self.command(secured, ports, &archive)?;
            let error = match self.plan(ports).launch(command, self.data, &says_started) {
                Ok(server) => return Ok((server.with_archive(archive), ports)),
                Err(error) => error,
            };
            let again = match &error {
                LocalKafkaError::PortTaken { port } => {
                    self.config.port != Some(*port) && self.forget_port(*port, ports)?
                }
                LocalKafkaError::Exited { .. } => archive.discard(),
                _ => false,
            };
            if !again || attempt == ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, attempt, "the broker did not start, trying again");
            attempt += 1;
        }
    }

    fn plan(&self, ports: Ports) -> ServerPlan {
        ServerPlan {
            what: WHAT,
            port: ports.plain,
            log: self.data.join("server.log"),
            start_timeout: self.config.start_timeout,
            stop_timeout: self.config.stop_timeout,
        }
    }

    fn command(
        &self,
        secured: Option<&SecuredFiles>,
        ports: Ports,
        archive: &ClassArchive,
    ) -> Result<Command, LocalKafkaError> {
        let settings = self.data.join("server.properties");
        write_private(&settings, &properties::render(self.config, &self.log_dir(), ports, secured))?;
        let log_settings = self.data.join("log4j2.properties");
        fs::write(&log_settings, include_str!("../kafka/log4j2.properties"))
            .map_err(LocalKafkaError::io("write", &log_settings))?;

        let scratch = self.data.fresh_scratch()?;
        let mut command = jvm(self.java, self.config.heap, &scratch, archive);
        command
            .arg(format!("-Dlog4j2.configurationFile={}", log_settings.display()))
            .arg(format!("-Dprunella.log={}", self.data.join("server.log").display()))
            .arg("-cp")
            .arg(self.classpath)
            .arg("kafka.Kafka")
            .arg(&settings);
        Ok(command)
    }

    fn choose_ports(&self) -> Result<Ports, LocalKafkaError> {
        let plain = ports::choose(self.config.port, &self.data.join("port"), &[])?;
        let seat = self.config.seat.as_ref().and_then(Seat::controller_port);
        let controller = ports::choose(seat, &self.data.join("controller-port"), &[plain])?;
        let secured = match self.config.security {
            Security::Plain => None,
            Security::SaslSsl { .. } => {
                Some(ports::choose(None, &self.data.join("secured-port"), &[plain, controller])?)
            }
        };
        Ok(Ports { plain, controller, secured })
    }

    /// `true` if it was one of ours, so that the next choice is another one.
    fn forget_port(&self, port: u16, ports: Ports) -> Result<bool, LocalKafkaError> {
        let files =
            [(Some(ports.plain), "port"), (Some(ports.controller), "controller-port"), (ports.secured, "secured-port")];
        let Some((_, file)) = files.into_iter().find(|(candidate, _)| *candidate == Some(port)) else {
            return Ok(false);
        };
        ports::forget(&self.data.join(file))?;
        Ok(true)
    }
}

/// Kafka says so after the listeners are open and the node has joined its own cluster.
fn says_started(log: &Path) -> bool {
    log_tail::read(log).contains(STARTED)
}

/// The file may hold passwords.
fn write_private(file: &Path, text: &str) -> Result<(), LocalKafkaError> {
    fs::write(file, "").map_err(LocalKafkaError::io("write", file))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(LocalKafkaError::io("protect", file))?;
    fs::write(file, text).map_err(LocalKafkaError::io("write", file))
}
