//! The transformer: maps every item of a batch to the shape its step asks for.

mod batch;
mod pace;
mod service;

pub use batch::transform;
pub use pace::Pace;
pub use service::{Deps, run};
