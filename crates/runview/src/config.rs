use std::path::PathBuf;
use std::time::Duration;

/// Where the view is and how much it may hold.
#[derive(Debug, Clone)]
pub struct RunViewConfig {
    /// Belongs to one process at a time; made when missing.
    pub directory: PathBuf,
    /// Memory for pages of the view, in bytes.
    pub cache_bytes: usize,
    /// Events are forgotten at this age, or with their run.
    pub event_retention: Duration,
    /// A view that was not fed for this long starts from nothing: a compacted topic forgets deletions. Keep it
    /// under `delete.retention.ms` of `state.runs`.
    pub rebuild_after: Duration,
    /// Most runs that one page of a list looks at, whatever the filter lets through.
    pub scan_limit: usize,
}

impl RunViewConfig {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache_bytes: 64 << 20,
            event_retention: Duration::from_secs(30 * 86_400),
            rebuild_after: Duration::from_secs(6 * 86_400),
            scan_limit: 50_000,
        }
    }
}
