//! The workflows and streams of an installation: immutable versions and live pointers in `state.workflows`.
//!
//! [`Catalog`] is the view that every service follows; [`CatalogWriter`] is the one way to change it. [`MappingView`] is the
//! view of healed mappings, which the healer alone changes.

mod decisions;
mod definition;
mod error;
mod history;
mod mappings;
mod schemas;
mod view;
mod writer;

pub use decisions::Refusal;
pub use definition::{Compiled, Definition};
pub use error::CatalogError;
pub use history::{History, WorkflowHistory};
pub use mappings::{AUTHORS_VERSION, MappingHistory, MappingView, mapping_of};
pub use schemas::SchemaTopic;
pub use view::Catalog;
pub use writer::{Applied, CatalogWriter, NewVersion};
