//! What is being done, for a person who waits.

use std::fmt;
use std::time::Duration;

/// One step of getting a local server ready. `Display` gives the line to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Maven fetches the files; happens once per user and version.
    Fetching {
        what: &'static str,
        size: &'static str,
        files: usize,
    },
    /// Another process is fetching the same files.
    WaitingForFetch {
        what: &'static str,
    },
    /// Files are compared with their SHA-256 sums.
    Checking {
        what: &'static str,
    },
    /// A server left behind by a process that no longer lives is stopped.
    StoppingStale {
        pid: i32,
    },
    /// The data directory is used for the first time.
    Formatting,
    /// Keys and certificates of the secured listener are made.
    MakingCertificates,
    Starting {
        what: &'static str,
        address: String,
    },
    Ready {
        what: &'static str,
        address: String,
        took: Duration,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetching { what, size, files: 0 } => write!(f, "fetching {what} with Maven ({size}, once)"),
            Self::Fetching { what, size, files } => {
                write!(f, "fetching {what} with Maven ({size}, once): {files} files arrived")
            }
            Self::WaitingForFetch { what } => write!(f, "waiting for another process that fetches {what}"),
            Self::Checking { what } => write!(f, "checking the files of {what}"),
            Self::StoppingStale { pid } => write!(f, "stopping a server that was left behind (process {pid})"),
            Self::Formatting => write!(f, "formatting the data directory"),
            Self::MakingCertificates => write!(f, "making certificates for the secured listener"),
            Self::Starting { what, address } => write!(f, "starting {what} on {address}"),
            Self::Ready { what, address, took } => {
                write!(f, "{what} is ready on {address} ({:.1} s)", took.as_secs_f64())
            }
        }
    }
}
