//! The extractor: pulls raw data page by page and sends it on in batches, journaling how far it is, so
//! that a crash costs a page and not the extraction.

mod batches;
mod events;
mod home;
mod job;
mod journal;
mod pages;
mod service;
mod settings;

pub use service::{Deps, run};
pub use settings::ExtractorSettings;
