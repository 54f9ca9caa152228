//! The transformer: maps every item of a batch to the shape its step asks for.

mod batch;
mod service;

pub use batch::transform;
pub use service::{Deps, run};
