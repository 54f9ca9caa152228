//! The workflows and streams of an installation: immutable versions and live pointers in `state.workflows`.
//!
//! [`Catalog`] is the view that every service follows; [`CatalogWriter`] is the one way to change it.

mod definition;
mod error;
mod history;
mod schemas;
mod view;
mod writer;

pub use definition::{Compiled, Definition};
pub use error::CatalogError;
pub use history::{History, WorkflowHistory};
pub use schemas::SchemaTopic;
pub use view::Catalog;
pub use writer::{Applied, CatalogWriter, NewVersion};
