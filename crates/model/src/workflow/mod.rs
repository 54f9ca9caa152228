//! A workflow as its author writes it.

mod definition;
mod items_path;

pub use definition::{
    CursorPagination, Extract, FileRef, Heal, HttpExtract, HttpMethod, LinkPagination, Mapping, OffsetPagination,
    OnInvalid, Output, PagePagination, PageSize, Pagination, Retry, SchemaSource, Step, Trigger, TriggerExtract,
    Workflow,
};
pub use items_path::{ItemsPath, ItemsPathError};
