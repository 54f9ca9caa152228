//! The end of a process: soon after it was asked for, whatever a client of Kafka still waits for.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use prunella_model::Code;

/// What a process has for its end beyond that of its stages.
const MARGIN: Duration = Duration::from_secs(5);

/// Has the process end itself when it is still there so long after `stop`, before whoever started it kills it: the log
/// then says that it did not end, and what is to be done.
pub fn at_the_latest(stages: Duration, stop: CancellationToken) {
    let limit = stages + MARGIN;
    tokio::spawn(async move {
        stop.cancelled().await;
        // A thread of its own, because what holds up the end may be that no thread of the runtime is free.
        let spawned = thread::Builder::new().name("end".to_owned()).spawn(move || {
            thread::sleep(limit);
            let code = Code::StopOverdue;
            tracing::error!(code = code.id(), seconds = limit.as_secs(), "{}", code.summary());
            now(1);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "nobody watches that this process ends");
        }
    });
}

/// Ends the process without closing what it holds. Clients of Kafka that have nothing left to write are among that:
/// closing them one by one may take for ever, and the system does it at once.
#[allow(unsafe_code, reason = "there is no other way to leave out what runs at the exit of a process")]
pub fn now(status: u8) -> ! {
    // Whoever read it may be gone.
    let _ = std::io::stdout().flush();
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(i32::from(status)) }
}
