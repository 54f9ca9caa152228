//! How far the view is behind the topics.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How current an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AsOf {
    /// Timestamp of the newest record in the view, in milliseconds since the epoch; `None` while it is empty.
    pub newest: Option<i64>,
    /// The topics were read to their end since this process started.
    pub caught_up: bool,
    /// Most records that are in the topics and not yet in the view, as of the last look at the topics
    /// (every few seconds); `None` before the first.
    pub lag: Option<i64>,
}

/// Whether the view can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    pub caught_up: bool,
    pub lag: Option<i64>,
    /// Time since Kafka answered; `None` when it has not answered yet.
    pub since_contact: Option<Duration>,
}

#[derive(Default)]
struct Known {
    caught_up: bool,
    lag: Option<i64>,
    contact: Option<Instant>,
}

/// What the feed knows about itself.
#[derive(Default)]
pub(crate) struct Freshness(Mutex<Known>);

impl Freshness {
    pub(crate) fn behind(&self) {
        self.with(|known| known.caught_up = false);
    }

    pub(crate) fn caught_up(&self) {
        self.with(|known| known.caught_up = true);
    }

    pub(crate) fn contact(&self) {
        self.with(|known| known.contact = Some(Instant::now()));
    }

    pub(crate) fn lag(&self, lag: i64) {
        self.with(|known| known.lag = Some(lag));
    }

    pub(crate) fn as_of(&self, newest: Option<i64>) -> AsOf {
        self.with(|known| AsOf { newest, caught_up: known.caught_up, lag: known.lag })
    }

    pub(crate) fn health(&self) -> Health {
        self.with(|known| Health {
            caught_up: known.caught_up,
            lag: known.lag,
            since_contact: known.contact.map(|contact| contact.elapsed()),
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
