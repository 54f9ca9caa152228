//! What can be observed of the cache.

use prunella_telemetry::{Event, metrics};

/// How a look-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Hit,
    Miss,
    /// Something stood there that was not put there.
    Junk,
    /// Redis failed, or was too slow.
    Failed,
    /// Redis is left alone for now.
    LeftAlone,
}

impl Found {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Junk => "junk",
            Self::Failed => "failed",
            Self::LeftAlone => "left-alone",
        }
    }
}

pub(crate) struct LookedUp<'a> {
    pub(crate) store: &'a str,
    pub(crate) found: Found,
}

impl Event for LookedUp<'_> {
    fn emit(self) {
        metrics::REDIS_LOOKUPS.with_label_values(&[self.store, self.found.as_str()]).inc();
        if self.found == Found::Junk {
            tracing::warn!(store = self.store, "redis holds a value that was not put there by us; it is not used");
        }
    }
}

pub(crate) struct LeftAlone<'a> {
    pub(crate) reason: &'a str,
    pub(crate) pause: String,
}

impl Event for LeftAlone<'_> {
    fn emit(self) {
        metrics::REDIS_FAILURES.inc();
        tracing::warn!(
            reason = self.reason,
            pause = self.pause,
            "redis is left alone for a while; nothing depends on it"
        );
    }
}
