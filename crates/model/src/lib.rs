//! The nouns of Prunella and what makes each of them valid. No I/O.

mod code;
mod ids;
mod units;
pub mod workflow;

pub use code::{Code, Route};
pub use ids::{
    Attempt, BatchNumber, IdError, ItemId, RunId, RunOrigin, StepId, WorkflowName, WorkflowRef, WorkflowVersion,
    WorkspaceName, murmur2_partition,
};
pub use units::{ByteSize, Period, UnitError};
