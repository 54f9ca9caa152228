use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::reaper;
use super::wait::wait_until;

/// Lines of the log that a failed test shows.
const SHOWN_LINES: usize = 80;

/// A running `prunella` whose output goes to a file. Killed when dropped.
pub struct Prunella {
    child: Child,
    log: PathBuf,
    is_over: bool,
}

impl Prunella {
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log file");
        let errors = file.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().expect("prunella starts");
        reaper::started(child.id());
        Self { child, log, is_over: false }
    }

    /// Waits for the line that says that the process is at work.
    pub(crate) fn once_ready(mut self, line: &str) -> Self {
        wait_until(Duration::from_secs(60), "prunella is ready", || {
            if let Some(status) = self.try_wait() {
                panic!("prunella ended with {status} before it was ready");
            }
            self.log().contains(line).then_some(())
        });
        self
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child of ours");
        if status.is_some() && !self.is_over {
            self.is_over = true;
            reaper::ended(self.child.id());
        }
        status
    }

    /// Stops all its threads, until [`Prunella::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, without waiting for what comes of it.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        // A child of ours that was not reaped: the number is still its own.
        kill_process(Pid::from_child(&self.child), signal).expect("a child of ours");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.kill_at_once().expect("killed");
    }

    fn kill_at_once(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        if !self.is_over {
            self.is_over = true;
            reaper::ended(self.child.id());
        }
        Ok(())
    }

    /// SIGTERM; gives how it ended and how long that took.
    ///
    /// # Panics
    /// When it has not ended within `patience`.
    pub fn terminate(mut self, patience: Duration) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.ask_to_end();
        let status = wait_until(patience, "prunella ends after SIGTERM", || self.try_wait());
        (status, began.elapsed())
    }
}

impl Drop for Prunella {
    fn drop(&mut self) {
        // A process that is gone already is as good.
        let _ = self.kill_at_once();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("--- last lines of {}\n{shown}\n---", self.log.display());
        }
    }
}
