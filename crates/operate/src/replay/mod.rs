//! Doing work again: records of a trigger topic, batches of a stage, records of a stream.
//!
//! A replay fixes its end when it begins. How far it is stands in `state.operations`, in the transaction that carries what
//! it has written: a replay that is killed goes on where it was, and readers of committed records see each output once.

mod candidate;
mod compare;
mod diff;
mod job;
mod origins;
mod select;
mod spec;

pub use diff::{Difference, FieldChange, Outcome, Summary, compare};
pub use job::{Job, Preview, Purpose};
pub use spec::{Source, Spec};
