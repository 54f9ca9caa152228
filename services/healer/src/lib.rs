//! The healer: batches whose items cannot be mapped any more wait here, their mapping is repaired and proven, and they
//! are driven again.
//!
//! Invariants:
//! 1. the owner of a mapping's home is its only healer and the only writer of its versions;
//! 2. a repaired mapping is used only if it is proven and the step's policy is `auto`, or a person approved it;
//! 3. an outcome counts only for the version that the attempt began with;
//! 4. what a parked batch came to (outputs, dead letters, what the run is told) and its removal are one transaction;
//! 5. every item that was parked becomes an output, a dead letter, or is still parked.

mod attempt;
mod consult;
mod drive;
mod events;
mod home;
mod records;
mod relocate;
mod service;
mod settings;

pub use service::{Deps, run};
pub use settings::HealingSettings;
