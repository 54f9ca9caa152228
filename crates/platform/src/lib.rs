//! What the services of a process share: clients, codec, catalog; and how a stage finds the
//! definition and the context of the work it is handed.

mod cancelled;
mod context;
mod platform;
mod processing;
mod work;

pub use cancelled::CancelledRuns;
pub use context::{ContextDocument, moment_of};
pub use platform::Platform;
pub use processing::{Guarantees, Placement, Processing};
pub use work::{StepWork, step_failed};
