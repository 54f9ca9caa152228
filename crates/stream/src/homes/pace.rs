//! When outcomes that wait for each other go out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

/// Outcomes go out at once when nothing is on its way, and wait for each other while something is: the busier Kafka is,
/// the fewer and larger the requests. Those because of which nothing goes on wait for one that is different.
pub(super) struct Pace {
    on_their_way: Arc<OnTheirWay>,
    sent_at: Instant,
    /// Since when there is one that waits.
    waits_since: Option<Instant>,
    is_urgent: bool,
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
        let (on_their_way, sent_at) = (Arc::default(), Instant::now());
        Self { on_their_way, sent_at, waits_since: None, is_urgent: false, patience }
    }

    /// One more outcome waits; because of one that `may_wait` nothing goes on.
    pub(super) fn one_waits(&mut self, may_wait: bool) {
        self.waits_since.get_or_insert_with(Instant::now);
        self.is_urgent |= !may_wait;
    }

    /// Says that what waits goes out now.
    pub(super) fn send(&mut self) {
        self.sent_at = Instant::now();
        self.waits_since = None;
        self.is_urgent = false;
    }

    /// Whether something goes on because of one that waits.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    pub(super) fn one_more(&self) -> OnItsWay {
        self.on_their_way.count.fetch_add(1, Ordering::AcqRel);
        OnItsWay(self.on_their_way.clone())
    }

    pub(super) fn is_due(&self) -> bool {
        match self.waits_since {
            Some(since) if !self.is_urgent => since.elapsed() >= self.patience,
            _ => self.on_their_way.count.load(Ordering::Acquire) == 0 || self.sent_at.elapsed() >= self.patience,
        }
    }

    /// Ends when what waits may have become due; once too often at worst.
    pub(super) fn until_due(&self) -> impl Future<Output = ()> + use<> {
        let on_their_way = self.on_their_way.clone();
        let (is_urgent, sent_at) = (self.is_urgent, self.sent_at);
        let since = self.waits_since.filter(|_| !is_urgent).unwrap_or(sent_at);
        let at = since + self.patience;
        async move {
            if is_urgent {
                // Either will do.
                let _ = timeout_at(at, on_their_way.none_left.notified()).await;
            } else {
                sleep_until(at).await;
            }
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
        pace.one_waits(false);
        assert!(pace.is_due(), "nothing is on its way");
        pace.send();
        pace.one_waits(false);
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
        pace.one_waits(false);
        let _slow = pace.one_more();
        timeout(LONG, pace.until_due()).await.expect("patience ends");
        assert!(pace.is_due());
    }

    #[tokio::test]
    async fn what_nothing_goes_on_from_waits_for_another_and_not_for_ever() {
        let mut pace = Pace::new(Duration::from_millis(50));
        pace.one_waits(true);
        assert!(!pace.is_due() && !pace.is_urgent(), "although nothing is on its way");
        pace.one_waits(false);
        assert!(pace.is_due() && pace.is_urgent(), "both");
        pace.send();
        pace.one_waits(true);
        pace.one_waits(true);
        assert!(!pace.is_due());
        timeout(LONG, pace.until_due()).await.expect("patience ends");
        assert!(pace.is_due() && !pace.is_urgent());
    }
}
