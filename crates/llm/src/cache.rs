use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::answer::{Candidate, Usage};

/// SHA-256 of everything that decides an answer: provider, address and the redacted request, the model in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestDigest(String);

impl RequestDigest {
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hex(&hash.finalize()))
    }

    /// Lower-case hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A good answer, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedAnswer {
    pub candidates: Vec<Candidate>,
    /// What it took when it was asked for.
    pub usage: Usage,
    /// SHA-256 of the text of the answer, in hex.
    pub digest: String,
}

/// Keeps good answers by the content of their request. A cache may forget at any time, and failing is forgetting.
/// Requests are redacted with a key of the process, so one that processes share is of use only if they share the key.
pub trait AnswerCache: Send + Sync {
    fn get<'c>(&'c self, request: &'c RequestDigest) -> BoxFuture<'c, Option<CachedAnswer>>;
    fn put<'c>(&'c self, request: &'c RequestDigest, answer: CachedAnswer) -> BoxFuture<'c, ()>;
}

/// A cache in the process: the answers used last.
#[derive(Debug)]
pub struct MemoryCache {
    capacity: usize,
    answers: Mutex<IndexMap<RequestDigest, CachedAnswer>>,
}

impl MemoryCache {
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, answers: Mutex::default() }
    }

    fn found(&self, request: &RequestDigest) -> Option<CachedAnswer> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.shift_remove(request)?;
        answers.insert(request.clone(), answer.clone());
        Some(answer)
    }

    fn keep(&self, request: &RequestDigest, answer: CachedAnswer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.shift_remove(request);
        answers.insert(request.clone(), answer);
        while answers.len() > self.capacity {
            answers.shift_remove_index(0);
        }
    }
}

impl AnswerCache for MemoryCache {
    fn get<'c>(&'c self, request: &'c RequestDigest) -> BoxFuture<'c, Option<CachedAnswer>> {
        Box::pin(std::future::ready(self.found(request)))
    }

    fn put<'c>(&'c self, request: &'c RequestDigest, answer: CachedAnswer) -> BoxFuture<'c, ()> {
        self.keep(request, answer);
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_used_last() {
        let cache = MemoryCache::new(2);
        let request = |name: &str| RequestDigest::of(&[name]);
        let answer =
            |digest: &str| CachedAnswer { candidates: Vec::new(), usage: Usage::default(), digest: digest.to_owned() };
        cache.keep(&request("a"), answer("a"));
        cache.keep(&request("b"), answer("b"));
        assert!(cache.found(&request("a")).is_some());
        cache.keep(&request("c"), answer("c"));
        assert_eq!(cache.found(&request("b")), None);
        assert_eq!(cache.found(&request("a")), Some(answer("a")));
        assert_eq!(cache.found(&request("c")), Some(answer("c")));
        assert_ne!(RequestDigest::of(&["ab", "c"]), RequestDigest::of(&["a", "bc"]));
    }
}
