//! Streams: every record of a topic, mapped and validated onto another topic, continuously.
//!
//! [`run`] follows the catalog and keeps one member per live stream. [`Work`] is what happens to a record, without Kafka.

mod events;
mod follower;
mod headers;
mod names;
mod service;
mod stage;
mod work;

pub use headers::output_headers;
pub use names::{group, output_subject, output_topic};
pub use service::{Deps, run};
pub use work::{Mapped, Work, WorkLimits};
