//! A child process that never outlives us.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that spawned the child ends, so every child has a keeper thread that spawns it and
//! then waits for it. The child leads its own process group: Ctrl-C in a terminal reaches us, not the broker, and services can
//! still drain to it before it is stopped.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) status: String,
    /// By its own decision or by our SIGTERM, not by a crash or a SIGKILL.
    pub(crate) orderly: bool,
}

pub(crate) struct ManagedProcess {
    pid: Pid,
    watch: Arc<Watch>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Watch {
    exit: Mutex<Option<Exit>>,
    ended: Condvar,
}

impl ManagedProcess {
    pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0);
        die_with_parent(&mut command);
        let watch = Arc::new(Watch::default());
        let (report, spawned) = mpsc::channel();
        let keeper = thread::Builder::new().name("local-server-keeper".to_owned()).spawn({
            let watch = watch.clone();
            move || match command.spawn() {
                Ok(child) => {
                    let pid = Pid::from_child(&child);
                    // Whoever asked for the child waits for this message.
                    let _ = report.send(Ok(pid));
                    watch.keep(child, pid);
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        })?;
        let pid = spawned.recv().map_err(io::Error::other)??;
        Ok(Self { pid, watch, keeper: Some(keeper) })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// `None` while it runs.
    pub(crate) fn exit(&self) -> Option<Exit> {
        self.watch.lock().clone()
    }

    /// SIGTERM, up to `patience` for an orderly end, then SIGKILL.
    pub(crate) fn stop(&mut self, patience: Duration) -> io::Result<Exit> {
        self.signal(Signal::TERM)?;
        match self.wait(patience) {
            Some(exit) => self.joined(exit),
            None => self.kill(patience),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, patience: Duration) -> io::Result<Exit> {
        self.signal(Signal::KILL)?;
        let survives = || io::Error::new(io::ErrorKind::TimedOut, "the process survives SIGKILL");
        let exit = self.wait(patience).ok_or_else(survives)?;
        self.joined(exit)
    }

    fn joined(&mut self, exit: Exit) -> io::Result<Exit> {
        if let Some(keeper) = self.keeper.take() {
            keeper.join().map_err(|_| io::Error::other("the thread that watches the process has panicked"))?;
        }
        Ok(exit)
    }

    /// The keeper reaps only under the lock, so the number is still ours while no exit is recorded.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let exit = self.watch.lock();
        if exit.is_none() {
            kill_process(self.pid, signal)?;
        }
        Ok(())
    }

    pub(crate) fn wait(&self, patience: Duration) -> Option<Exit> {
        let running = |exit: &mut Option<Exit>| exit.is_none();
        let waited = self.watch.ended.wait_timeout_while(self.watch.lock(), patience, running);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mut child: Child, pid: Pid) {
        let until_it_ends = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(pid), until_it_ends), Err(rustix::io::Errno::INTR)) {}
        let mut exit = self.lock();
        *exit = Some(match child.wait() {
            // A JVM that ends on SIGTERM reports 128 + 15.
            Ok(status) => Exit {
                orderly: status.success() || status.code() == Some(143) || status.signal() == Some(15),
                status: status.to_string(),
            },
            Err(error) => Exit { orderly: false, status: error.to_string() },
        });
        self.ended.notify_all();
    }
}

/// The kernel kills the child when the thread that spawns it is gone, even by `kill -9` of the whole process.
/// SIGKILL, because nobody would be left to insist; Kafka recovers its log from that at the next start.
#[allow(unsafe_code)]
pub(crate) fn die_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpid, getppid, set_parent_process_death_signal};
        let parent = getpid();
        let ask_the_kernel = move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the kernel was asked.
            if getppid() != Some(parent) {
                return Err(io::Error::from(rustix::io::Errno::SRCH));
            }
            Ok(())
        };
        // SAFETY: between fork and exec this makes two system calls, takes no lock and allocates nothing.
        unsafe { command.pre_exec(ask_the_kernel) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_ignores_sigterm_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; while :; do sleep 0.05; done"]);
        let mut process = ManagedProcess::spawn(command).expect("sh starts");
        assert_eq!(process.wait(Duration::from_millis(100)), None);
        let exit = process.stop(Duration::from_millis(300)).expect("stopped");
        assert!(!exit.orderly, "{exit:?}");
    }

    #[test]
    fn the_end_of_a_process_is_seen_without_asking() {
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        let process = ManagedProcess::spawn(command).expect("sh starts");
        let exit = process.wait(Duration::from_secs(10)).expect("it ends");
        assert_eq!(exit, Exit { status: "exit status: 7".to_owned(), orderly: false });
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let asked = thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("100");
            ManagedProcess::spawn(command).expect("sleep starts")
        });
        let mut process = asked.join().expect("no panic");
        assert_eq!(process.wait(Duration::from_millis(200)), None);
        assert!(process.stop(Duration::from_secs(5)).expect("stopped").orderly);
    }
}
