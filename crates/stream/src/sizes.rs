use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::output::OutputError;
use crate::record::OutRecord;

/// How long a refusal is remembered: long enough to meet the same record again after a rebuild, short
/// enough that a raised limit of a topic is soon found.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Sizes that topics have refused lately. A record that is refused inside a transaction spoils the
/// whole of it; the second time it comes it is known before one is begun. Shared by the members of a
/// process, because it has to outlive a member that failed for it.
#[derive(Clone, Default)]
pub struct RefusedSizes(Arc<Mutex<HashMap<String, Refusal>>>);

struct Refusal {
    bytes: usize,
    until: Instant,
}

impl RefusedSizes {
    pub(crate) fn learn(&self, topic: &str, bytes: usize) {
        let refusal = Refusal { bytes, until: Instant::now() + REMEMBERED };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned(), refusal);
    }

    pub(crate) fn check(&self, record: &OutRecord) -> Option<OutputError> {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.is_empty() {
            return None;
        }
        let now = Instant::now();
        refusals.retain(|_, refusal| refusal.until > now);
        let refusal = refusals.get(&*record.topic)?;
        let bytes = record.size();
        (bytes >= refusal.bytes).then(|| OutputError::TooLarge { topic: record.topic.to_string(), bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_refused_again_and_smaller_records_of_the_topic_pass() {
        let sizes = RefusedSizes::default();
        let record = |topic: &str, bytes: usize| OutRecord::new(topic, "", vec![0_u8; bytes]);
        assert!(sizes.check(&record("t", 2_000_000)).is_none());
        sizes.learn("t", 2_000_000);
        assert!(sizes.check(&record("t", 2_000_000)).is_some());
        assert!(sizes.check(&record("t", 1_999_999)).is_none());
        assert!(sizes.check(&record("u", 2_000_000)).is_none());
    }
}
