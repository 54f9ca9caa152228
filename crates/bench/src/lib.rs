//! Benchmarks of the whole product. Every figure stands beside a baseline that was measured in the same run on the same
//! machine; see `docs/benchmarks.md`.
//!
//! The product is the built binary and nothing else: processes, topics and a configuration.

mod child;
mod client;
mod documents;
mod error;
mod load;
mod random;
mod relay;
mod results;
mod sheet;
mod usage;
mod variant;
mod work;

pub use child::{RelayProcess, serve_relay};
pub use documents::{Document, Documents, order_id, order_number};
pub use error::{BenchError, Result};
pub use load::{Measured, Target, closed_loop, paced};
pub use relay::Relay;
pub use results::Report;
pub use sheet::{Figure, Row, Sheet, Unit};
pub use variant::{Guarantee, Mode, Placement, Variant};
