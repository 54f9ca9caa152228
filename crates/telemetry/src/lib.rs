//! Logs, metrics and the events that make both.

mod event;
mod logs;
pub mod metrics;

pub use event::{Event, emit};
pub use logs::{LogFormat, start_logging};
