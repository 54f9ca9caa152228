//! When outcomes that wait for each other go out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant, timeout_at};

/// Outcomes go out at once when nothing is on its way, and wait for each other while something is: the busier Kafka is,
/// the fewer and larger the requests.
pub(super) struct Pace {
    on_their_way: Arc<OnTheirWay>,
    sent_at: Instant,
    patience: Duration,
}

/// Counts outcomes that were handed over and are not confirmed.
#[derive(Default)]
struct OnTheirWay {
    count: AtomicUsize,
    none_left: Notify,
}

/// One outcome on its way, until it is dropped.
pub(super) struct OnItsWay(Arc<OnTheirWay>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_one();
        }
    }
}

impl Pace {
    /// Outcomes wait no longer than `patience`: one broker that is slow must not hold up what goes to the others.
    pub(super) fn new(patience: Duration) -> Self {
        Self { on_their_way: Arc::default(), sent_at: Instant::now(), patience }
    }

    /// Says that what waits goes out now.
    pub(super) fn send(&mut self) {
        self.sent_at = Instant::now();
    }

    pub(super) fn one_more(&self) -> OnItsWay {
        self.on_their_way.count.fetch_add(1, Ordering::AcqRel);
        OnItsWay(self.on_their_way.clone())
    }

    pub(super) fn is_due(&self) -> bool {
        self.on_their_way.count.load(Ordering::Acquire) == 0 || self.sent_at.elapsed() >= self.patience
    }

    /// Ends when what waits may have become due; once too often at worst.
    pub(super) fn until_due(&self) -> impl Future<Output = ()> + use<> {
        let (on_their_way, at) = (self.on_their_way.clone(), self.sent_at + self.patience);
        async move {
            // Either will do.
            let _ = timeout_at(at, on_their_way.none_left.notified()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_waits_goes_out_when_all_before_it_is_confirmed() {
        let mut pace = Pace::new(2 * LONG);
        assert!(pace.is_due(), "nothing is on its way");
        pace.send();
        let (first, second) = (pace.one_more(), pace.one_more());
        drop(first);
        assert!(!pace.is_due());
        let due = pace.until_due();
        drop(second);
        timeout(LONG, due).await.expect("told of the last one");
        assert!(pace.is_due());
    }

    #[tokio::test]
    async fn what_is_not_confirmed_holds_up_what_waits_for_a_moment_only() {
        let mut pace = Pace::new(Duration::from_millis(10));
        pace.send();
        let _slow = pace.one_more();
        timeout(LONG, pace.until_due()).await.expect("patience ends");
        assert!(pace.is_due());
    }
}
