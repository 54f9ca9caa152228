//! A view of all runs on the local disk, for look-ups, lists and history.
//!
//! It follows `state.runs` and `log.runs` and holds nothing that is not in them: it may be deleted at any
//! time, and rebuilds itself when it is damaged, of another release, or of other topics.

mod change;
mod config;
mod cursor;
mod error;
mod events;
mod extent;
mod feed;
mod filter;
mod freshness;
mod read;
mod shelf;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod view;
mod waiters;
mod write;

pub use config::RunViewConfig;
pub use error::RunViewError;
pub use filter::RunFilter;
pub use freshness::{AsOf, Health};
pub use read::{EventPage, RunDetail, RunPage};
pub use view::RunView;
