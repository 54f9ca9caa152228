//! The validator: asserts the schema of a step on every item, and sends valid ones on their way.

mod batch;
mod service;

pub use batch::validate;
pub use service::{Deps, run};
