//! Sources: raw data, page by page. HTTP today; whatever comes next stands beside it.

mod answer;
mod charset;
mod client;
mod cursor;
mod document;
mod error;
mod exchange;
mod http;
mod items;
mod link;
mod moved;
mod pager;
mod redact;
mod request;
mod retry_after;

pub use client::{HttpClient, HttpClientConfig};
pub use cursor::Cursor;
pub use error::{Class, Effort, SourceError};
pub use exchange::reason_of;
pub use http::{HttpSource, Page};
pub use items::split_items;
pub use moved::{FoundList, Moved};
pub use request::HttpRequest;
pub use retry_after::parse as parse_retry_after;
