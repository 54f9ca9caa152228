//! What `docs/` promises to hold, compared with the code. The tests of this crate fail when a page, a
//! row or a reason is missing or left over; `cargo run -p prunella-docs --example check` lists what is.

mod dependencies;
mod error_pages;
mod repository;

pub use dependencies::{explained_dependencies, third_party_dependencies};
pub use error_pages::{FoundPage, found_pages, index, page_problems};
pub use repository::{RepositoryFile, read_file, repository};
