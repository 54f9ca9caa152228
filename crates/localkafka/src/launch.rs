//! From a command line to a server that answers, and back.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::archive::ClassArchive;
use crate::data_dir::{DataDir, remove_file_if_there};
use crate::error::LocalKafkaError;
use crate::java::Java;
use crate::log_tail;
use crate::process::{Exit, ManagedProcess};
use crate::process_identity::ProcessIdentity;

const POLL: Duration = Duration::from_millis(20);

/// What there is to know about a server before it runs.
pub(crate) struct ServerPlan {
    pub(crate) what: &'static str,
    /// The port to name when the server says that one is taken and not which.
    pub(crate) port: u16,
    /// What the server logs; what the JVM itself says goes to `server.out` beside it.
    pub(crate) log: PathBuf,
    pub(crate) start_timeout: Duration,
    pub(crate) stop_timeout: Duration,
}

/// A server that answers. Stopped when dropped.
pub(crate) struct RunningServer {
    plan: ServerPlan,
    out: PathBuf,
    pid_file: PathBuf,
    process: ManagedProcess,
    archive: ClassArchive,
    stopped: bool,
}

impl ServerPlan {
    /// Starts `command` and returns when `is_ready` says so.
    pub(crate) fn launch(
        self,
        mut command: Command,
        data: &DataDir,
        is_ready: &dyn Fn(&Path) -> bool,
    ) -> Result<RunningServer, LocalKafkaError> {
        let out = data.join("server.out");
        let program = PathBuf::from(command.get_program());
        keep_previous(&self.log)?;
        let file = File::create(&out).map_err(LocalKafkaError::io("create", &out))?;
        let same_file = file.try_clone().map_err(LocalKafkaError::io("open", &out))?;
        command.stdin(Stdio::null()).stdout(file).stderr(same_file).current_dir(data.path());
        let process = ManagedProcess::spawn(command).map_err(LocalKafkaError::io("run", &program))?;
        let archive = ClassArchive::None;
        let mut server = RunningServer { plan: self, out, pid_file: data.pid_file(), process, archive, stopped: false };
        match server.record_and_wait(is_ready) {
            Ok(()) => Ok(server),
            Err(error) => {
                server.end()?;
                Err(error)
            }
        }
    }
}

impl RunningServer {
    fn record_and_wait(&self, is_ready: &dyn Fn(&Path) -> bool) -> Result<(), LocalKafkaError> {
        // A process that is gone already needs no record.
        if let Some(identity) = ProcessIdentity::of(self.process.pid()) {
            identity.write(&self.pid_file).map_err(LocalKafkaError::io("write", &self.pid_file))?;
        }
        let deadline = Instant::now() + self.plan.start_timeout;
        while !is_ready(&self.plan.log) {
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            if Instant::now() > deadline {
                return Err(LocalKafkaError::StartTimeout {
                    what: self.plan.what,
                    after: self.plan.start_timeout,
                    log: self.plan.log.clone(),
                    tail: self.telling_lines(),
                });
            }
            // Wakes up at once when the process ends.
            self.process.wait(POLL);
        }
        Ok(())
    }

    /// The archive of classes that it was started with, to be kept if this server was to make it.
    pub(crate) fn with_archive(mut self, archive: ClassArchive) -> Self {
        self.archive = archive;
        self
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid().as_raw_pid()
    }

    pub(crate) fn log_file(&self) -> &Path {
        &self.plan.log
    }

    /// `None` while it runs, else why it ended.
    pub(crate) fn failure(&self) -> Option<LocalKafkaError> {
        let exit = self.process.exit()?;
        let said = log_tail::read(&self.out) + &log_tail::read(&self.plan.log);
        if let Some(line) = said.lines().find(|line| line.contains("No space left on device")) {
            let path = self.plan.log.parent().unwrap_or(&self.plan.log).to_owned();
            return Some(LocalKafkaError::DiskFull { path, detail: line.trim().to_owned() });
        }
        if let Some(line) = said.lines().find(|line| says_port_taken(line)) {
            return Some(LocalKafkaError::PortTaken { port: port_in(line).unwrap_or(self.plan.port) });
        }
        Some(LocalKafkaError::Exited {
            what: self.plan.what,
            status: exit.status,
            log: self.plan.log.clone(),
            tail: self.telling_lines(),
        })
    }

    /// Stops it. An error tells that it had ended by itself before.
    pub(crate) fn stop(&mut self) -> Result<(), LocalKafkaError> {
        let ended_before = self.failure();
        let exit = self.end()?;
        if let Some(failure) = ended_before {
            return Err(failure);
        }
        if exit.orderly {
            std::mem::replace(&mut self.archive, ClassArchive::None).keep();
        } else {
            tracing::warn!(
                server = self.plan.what,
                status = exit.status,
                "the server did not end in time and was killed"
            );
        }
        Ok(())
    }

    /// Ends it, whatever becomes of its data.
    pub(crate) fn discard(&mut self) -> Result<(), LocalKafkaError> {
        if self.archive.is_to_be_made() { self.stop() } else { self.kill() }
    }

    pub(crate) fn kill(&mut self) -> Result<(), LocalKafkaError> {
        self.stopped = true;
        let killed = self.process.kill(self.plan.stop_timeout);
        killed.map_err(LocalKafkaError::io("kill the server of", &self.pid_file))?;
        remove_file_if_there(&self.pid_file)
    }

    fn end(&mut self) -> Result<Exit, LocalKafkaError> {
        self.stopped = true;
        let stopped = self.process.stop(self.plan.stop_timeout);
        let exit = stopped.map_err(LocalKafkaError::io("stop the server of", &self.pid_file))?;
        remove_file_if_there(&self.pid_file)?;
        Ok(exit)
    }

    fn telling_lines(&self) -> String {
        log_tail::telling_lines(&[&self.out, &self.plan.log])
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        if let Err(error) = self.stop() {
            tracing::warn!(server = self.plan.what, %error, "the server could not be stopped cleanly");
        }
    }
}

/// The part of the command line that all our servers share.
pub(crate) fn jvm(java: &Java, heap: prunella_model::ByteSize, scratch: &Path, archive: &ClassArchive) -> Command {
    let mut command = Command::new(&java.program);
    command
        .arg(format!("-Xmx{}k", heap.bytes() >> 10))
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError"])
        .args(["-Xshare:auto", "-Djava.awt.headless=true"])
        .args(archive.jvm_argument())
        .arg(format!("-Djava.io.tmpdir={}", scratch.display()));
    command
}

/// Each start has a log of its own; the one before is kept.
fn keep_previous(log: &Path) -> Result<(), LocalKafkaError> {
    if !log.exists() {
        return Ok(());
    }
    let previous = log.with_extension("previous.log");
    fs::rename(log, &previous).map_err(LocalKafkaError::io("rename", log))
}

fn says_port_taken(line: &str) -> bool {
    line.contains("Address already in use") || line.contains("already bound") || line.contains("Port already in use")
}

/// The port in `… failed to bind to 127.0.0.1:9092: Address already in use` or `Port(s) already bound: 8080`.
fn port_in(line: &str) -> Option<u16> {
    let after = line.split_once("127.0.0.1:").or_else(|| line.split_once("already bound: "))?.1;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taken_port_is_read_from_what_servers_say() {
        let kafka = "Socket server failed to bind to 127.0.0.1:9092: Address already in use.";
        assert!(says_port_taken(kafka));
        assert_eq!(port_in(kafka), Some(9092));
        assert_eq!(port_in("QuarkusBindException: Port(s) already bound: 8080: Address already in use"), Some(8080));
        assert_eq!(port_in("java.net.BindException: Address already in use"), None);
    }
}
