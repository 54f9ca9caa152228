//! The validator: asserts the schema of a step on every item, and sends valid ones on their way.

mod batch;
mod remember;
mod service;

pub use batch::{Counted, Validated, output_array, validate};
pub use remember::Rememberer;
pub use service::{Deps, run};
