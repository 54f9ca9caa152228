//! A version of a workflow or stream, applied outside the stages: by the functions that they themselves call.

mod stream;
mod workflow;

pub(crate) use stream::{StreamMapper, as_record};
pub(crate) use workflow::WorkflowMapper;
