//! A workflow as its author writes it.

mod definition;
mod items_path;

pub use definition::{
    CursorPagination, Extract, FileRef, Heal, Healing, HttpExtract, HttpMethod, LinkPagination, Mapping, MappingTest,
    OffsetPagination, OnInvalid, Output, PagePagination, PageSize, Pagination, Remember, Retry, SchemaSource,
    SilentDrift, Step, Trigger, TriggerExtract, Workflow,
};
pub use items_path::{ItemsPath, ItemsPathError};
