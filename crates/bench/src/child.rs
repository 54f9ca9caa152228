//! Baselines run as processes of their own, so that they are measured as the product is.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::PATIENCE;
use crate::error::{BenchError, Result};
use crate::relay::Relay;

/// A [`Relay`] in a process of its own. Killed when dropped.
pub(crate) struct RelayProcess {
    child: Child,
}

impl RelayProcess {
    pub(crate) fn start(relay: &Relay) -> Result<Self> {
        let this = std::env::current_exe().map_err(BenchError::process("of this program"))?;
        let mut command = Command::new(this);
        command.arg("relay").arg(serde_json::to_string(relay)?).stdin(Stdio::piped());
        Ok(Self { child: command.spawn().map_err(BenchError::process("relay"))? })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it commit and leave its group.
    pub(crate) fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().map_err(BenchError::process("relay"))?.is_none() {
            if Instant::now() > deadline {
                return Err(BenchError::TooSlow { what: "a relay ends".to_owned(), seconds: PATIENCE.as_secs() });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// `kill -9`.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side: works until standard input is closed, which also happens when the starter dies.
pub(crate) fn serve_relay(argument: &str) -> Result<()> {
    let relay: Relay = serde_json::from_str(argument)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Nothing is ever written there; an error ends the wait as well.
            let _ = std::io::stdin().read(&mut [0]);
            stop.store(true, Ordering::Relaxed);
        });
        relay.run(&stop)
    })
}
