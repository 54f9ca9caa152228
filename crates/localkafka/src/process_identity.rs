//! A process by its number and the time it started, so that a recycled number is never taken for it.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: Pid,
    started: String,
}

impl ProcessIdentity {
    /// `None` when there is no such process any more (a zombie counts as none).
    pub(crate) fn of(pid: Pid) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)? })
    }

    pub(crate) fn write(&self, file: &Path) -> io::Result<()> {
        fs::write(file, format!("{} {}\n", self.pid.as_raw_pid(), self.started))
    }

    /// The process that `file` names, if exactly that one still runs.
    pub(crate) fn running(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let recorded = Self { pid: Pid::from_raw(pid.parse().ok()?)?, started: started.to_owned() };
        recorded.is_running().then_some(recorded)
    }

    /// Asks the process to end, insists after `patience`, and returns when it is gone.
    pub(crate) fn end(&self, patience: Duration) -> io::Result<()> {
        for signal in [Signal::TERM, Signal::KILL] {
            if let Err(errno) = kill_process(self.pid, signal)
                && errno != rustix::io::Errno::SRCH
            {
                return Err(errno.into());
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.is_running() {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("process {} does not end", self.pid.as_raw_pid())))
    }

    fn is_running(&self) -> bool {
        start_time(self.pid).as_deref() == Some(self.started.as_str())
    }
}

/// The boot and the clock ticks since then: unique even across a restart of the machine.
#[cfg(target_os = "linux")]
fn start_time(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The command in parentheses may hold anything; the state is field 3 and the start time field 22.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let ticks = fields.nth(18)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}/{ticks}", boot.trim()))
}

#[cfg(not(target_os = "linux"))]
fn start_time(pid: Pid) -> Option<String> {
    let pid = pid.as_raw_pid().to_string();
    let output = std::process::Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_number_is_not_the_recorded_process() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("pid");
        let myself = ProcessIdentity::of(rustix::process::getpid()).expect("this process runs");
        myself.write(&file).expect("written");
        assert_eq!(ProcessIdentity::running(&file), Some(myself.clone()));

        fs::write(&file, format!("{} earlier-boot/1\n", myself.pid.as_raw_pid())).expect("written");
        assert_eq!(ProcessIdentity::running(&file), None);
        fs::write(&file, "nonsense").expect("written");
        assert_eq!(ProcessIdentity::running(&file), None);
    }
}
