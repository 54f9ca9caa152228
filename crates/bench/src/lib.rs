//! Benchmarks of the whole product. Every figure stands beside a baseline that was measured in the same run on the same
//! machine; see `docs/benchmarks.md`.
//!
//! The product is the built binary and nothing else: processes, topics and a configuration.

mod child;
mod cli;
mod client;
mod documents;
mod error;
mod json;
mod live_runs;
mod load;
mod parts;
mod product;
mod random;
mod relay;
mod results;
mod sheet;
mod targets;
mod usage;
mod variant;
mod verify;
mod work;
mod workflows;

pub use cli::{Cli, run};
pub use error::BenchError;
