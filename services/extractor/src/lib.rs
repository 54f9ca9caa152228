//! The extractor: pulls raw data page by page and sends it on in batches, journaling how far it is, so
//! that a crash costs a page and not the extraction.

mod batches;
mod events;
mod home;
mod job;
mod journal;
mod moved;
mod pages;
mod pure;
mod service;
mod settings;
mod workshop;

pub use pure::{Pure, extract_pure};
pub use service::{Deps, run};
pub use settings::ExtractorSettings;
pub use workshop::{BatchWork, Workshop};
