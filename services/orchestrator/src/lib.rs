//! The orchestrator: a state machine per run, in the run's home partition.
//!
//! [`machine`] is pure: commands and the clock go in, actions come out. Everything else reads
//! triggers, keeps the runs of a home, and turns actions into records.

mod events;
mod home;
pub mod machine;
mod memory;
mod pure;
mod records;
mod service;
mod settings;
mod trigger;

pub use pure::{PureSteps, StepDone, StepResult};
pub use service::{Deps, run};
pub use settings::RunSettings;
