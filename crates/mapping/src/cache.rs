use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::{CompileError, Engine, Expression, JlensEngine};

/// SHA-256 of the text of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceHash([u8; 32]);

impl SourceHash {
    pub fn of(source: &str) -> Self {
        Self(Sha256::digest(source.as_bytes()).into())
    }
}

/// Compiled expressions by the hash of their text; the least recently used ones make room for new ones.
/// Shared by all threads of a service. Failures to compile are not kept.
pub struct MappingCache {
    engine: Arc<dyn Engine>,
    capacity: usize,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Entries {
    by_hash: HashMap<SourceHash, Entry>,
    /// Counts uses, so that the smallest `used` is the least recently used.
    clock: u64,
}

struct Entry {
    expression: Expression,
    used: u64,
}

impl MappingCache {
    /// A cache of at most `capacity` expressions (at least one) of the default engine.
    pub fn new(capacity: usize) -> Self {
        Self::with_engine(Arc::new(JlensEngine), capacity)
    }

    pub fn with_engine(engine: Arc<dyn Engine>, capacity: usize) -> Self {
        Self {
            engine,
            capacity: capacity.max(1),
            entries: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The compiled form of `source`, if it is at hand.
    pub fn find(&self, source: &str) -> Option<Expression> {
        let found = self.lookup(SourceHash::of(source));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The compiled form of `source`. Two threads that miss the same text at once both compile it.
    pub fn get(&self, source: &str) -> Result<Expression, CompileError> {
        if let Some(expression) = self.find(source) {
            return Ok(expression);
        }
        self.compile(source)
    }

    /// Compiles `source` and keeps it.
    pub fn compile(&self, source: &str) -> Result<Expression, CompileError> {
        let hash = SourceHash::of(source);
        let expression = Expression::compile_with(&*self.engine, source)?;
        self.insert(hash, expression.clone());
        Ok(expression)
    }

    /// How often an expression was found.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often an expression had to be compiled.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    pub fn len(&self) -> usize {
        self.lock().by_hash.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lookup(&self, hash: SourceHash) -> Option<Expression> {
        let mut entries = self.lock();
        entries.clock += 1;
        let clock = entries.clock;
        let entry = entries.by_hash.get_mut(&hash)?;
        entry.used = clock;
        Some(entry.expression.clone())
    }

    fn insert(&self, hash: SourceHash, expression: Expression) {
        let mut entries = self.lock();
        if entries.by_hash.len() >= self.capacity && !entries.by_hash.contains_key(&hash) {
            let oldest = entries.by_hash.iter().min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            if let Some(oldest) = oldest {
                entries.by_hash.remove(&oldest);
            }
        }
        let used = entries.clock;
        entries.by_hash.insert(hash, Entry { expression, used });
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Every change of the entries is complete before anything can panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bindings, Limits, Moment};

    #[test]
    fn the_least_recently_used_makes_room() {
        let cache = MappingCache::new(2);
        for source in ["a", "b", "a", "c", "a", "b"] {
            assert_eq!(cache.get(source).expect("compiles").source(), source);
        }
        // a, b, c and b again were compiled: c had pushed out b, which was used before a.
        assert_eq!((cache.hits(), cache.misses(), cache.len()), (2, 4, 2));
    }

    #[test]
    fn what_does_not_compile_is_not_kept() {
        let cache = MappingCache::new(2);
        assert!(cache.get("a[").is_err());
        assert!(cache.is_empty());
    }

    #[test]
    fn threads_share_the_cache_and_what_it_holds() {
        let cache = MappingCache::new(4);
        let results: Vec<_> = std::thread::scope(|scope| {
            let map = || {
                let expression = cache.get("a + 1").expect("compiles");
                expression.map_item(br#"{"a":1}"#, &Bindings::new(), Moment::new(0, 0), &Limits::default())
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(map)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(results.iter().all(|result| result.as_deref() == Ok(b"2")), "{results:?}");
        assert_eq!((cache.hits() + cache.misses(), cache.len()), (4, 1));
    }
}
