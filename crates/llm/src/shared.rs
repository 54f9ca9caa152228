//! Answers in memory, and behind them those that other processes got.

use std::sync::Arc;

use futures::future::BoxFuture;
use prunella_cache::SharedCache;
use prunella_telemetry::metrics;

use crate::cache::{AnswerCache, CachedAnswer, MemoryCache, RequestDigest};

/// Part of the keys in the shared cache.
const STORE: &str = "llm-answers";

/// Answers of this process, then those in the cache that processes share, if there is one. An answer from there is a proposal
/// like any other: it is proven before it is used.
pub struct TieredAnswers {
    memory: MemoryCache,
    shared: Option<Arc<SharedCache>>,
}

impl TieredAnswers {
    #[must_use]
    pub fn new(capacity: usize, shared: Option<Arc<SharedCache>>) -> Self {
        Self { memory: MemoryCache::new(capacity), shared }
    }

    async fn shared(&self, request: &RequestDigest) -> Option<CachedAnswer> {
        let stored = self.shared.as_ref()?.get(STORE, request.as_str()).await?;
        let answer: CachedAnswer = serde_json::from_slice(&stored).ok()?;
        self.memory.put(request, answer.clone()).await;
        Some(answer)
    }
}

fn count(level: &str, found: bool) {
    let result = if found { "hit" } else { "miss" };
    metrics::LLM_ANSWER_LOOKUPS.with_label_values(&[level, result]).inc();
}

impl AnswerCache for TieredAnswers {
    fn get<'c>(&'c self, request: &'c RequestDigest) -> BoxFuture<'c, Option<CachedAnswer>> {
        Box::pin(async move {
            let known = self.memory.get(request).await;
            count("memory", known.is_some());
            if known.is_some() || self.shared.is_none() {
                return known;
            }
            let shared = self.shared(request).await;
            count("redis", shared.is_some());
            shared
        })
    }

    fn put<'c>(&'c self, request: &'c RequestDigest, answer: CachedAnswer) -> BoxFuture<'c, ()> {
        Box::pin(async move {
            if let Some(shared) = &self.shared
                && let Ok(value) = serde_json::to_vec(&answer)
            {
                shared.put(STORE, request.as_str(), &value).await;
            }
            self.memory.put(request, answer).await;
        })
    }
}
