//! Values that processes share through Redis, and may lose at any moment.
//!
//! Invariants:
//! 1. what is read is what was put under that very key, or nothing: each value carries a digest of itself and its place, and
//!    is sealed when the installation has a key;
//! 2. no call takes longer than its timeout, and one that failed is not repeated for a while;
//! 3. nothing but time depends on an answer: whoever asks goes on without one.

mod envelope;
mod error;
mod events;
mod settings;
mod shared;

pub use error::CacheError;
pub use settings::RedisSettings;
pub use shared::SharedCache;
