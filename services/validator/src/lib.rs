//! The validator: asserts the schema of a step on every item, and sends valid ones on their way.

mod batch;
mod fields;
mod service;
mod settings;

pub use batch::validate;
pub use fields::FieldError;
pub use service::{Deps, run};
pub use settings::ValidatorSettings;
