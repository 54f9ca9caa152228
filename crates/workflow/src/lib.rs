//! Workflow and stream files: read, checked as a whole, and turned into a plan that services execute.

mod avro;
mod check;
mod document;
mod files;
mod graph;
mod json_schema;
mod limits;
mod load;
mod plan;
mod problem;
mod reads;
mod schema;
mod shape;
mod suggest;
mod tree;

pub use limits::Limits;
pub use load::{Declared, Loaded, canonical, load, load_dir, load_str};
pub use plan::{
    PageStrategy, Plan, PlannedExtract, PlannedHealing, PlannedHttp, PlannedOutput, PlannedPagination, PlannedStep,
    StreamPlan,
};
pub use problem::{Place, Problem, Problems};
pub use schema::{stream_schema, workflow_schema};
pub use tree::{JsonTree, TreeJson};
