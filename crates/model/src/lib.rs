//! The nouns of Prunella and what makes each of them valid. No I/O.

mod code;
mod ids;
mod kind;
mod run_key;
mod seed;
pub mod stream;
mod units;
pub mod workflow;

pub use code::{Code, Route};
pub use ids::{
    Attempt, BatchNumber, IdError, ItemId, KafkaTopic, MappingKey, RunId, RunOrigin, StepId, TextHash, WorkflowName,
    WorkflowRef, WorkflowVersion, WorkspaceName, murmur2_partition,
};
pub use kind::Kind;
pub use run_key::RunKey;
pub use seed::seed_of;
pub use units::{ByteSize, Period, UnitError};
