//! What the services of a process share: clients, codec, catalog; and how a stage finds the
//! definition and the context of the work it is handed.

mod cancelled;
mod context;
mod fields;
mod guard;
mod judge;
mod platform;
mod processing;
mod refusal;
mod validator_settings;
mod work;

pub use cancelled::CancelledRuns;
pub use context::{ContextDocument, moment_of};
pub use fields::{FieldError, field_errors};
pub use guard::{Guard, GuardSettings, pause_record};
pub use judge::OutputLimits;
pub use platform::Platform;
pub use processing::{Guarantees, Placement, Processing};
pub use refusal::{Refusal, output_key};
pub use validator_settings::ValidatorSettings;
pub use work::{OnFailure, StepWork, step_failed};
