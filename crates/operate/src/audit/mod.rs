//! Counting: what went in is on the output topic, on the dead-letter topic, or still on its way.
//!
//! The order of reading makes the counts sound while work goes on: first how far the groups are, then what went in and
//! what the runs say, last what came out. What a group had left behind when the audit began has come out by then.

mod account;
mod letters;
mod places;
mod runs;
mod stream;
mod workflow;

use prunella_model::{Kind, WorkflowName};

pub use account::{Account, Part};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;

/// Counts the records of a workflow or stream.
///
/// # Errors
/// [`OperateError`] when there is none of this name, or Kafka does not answer.
pub async fn audit(desk: &Desk, offsets: &Offsets, name: &WorkflowName) -> Result<Vec<Account>, OperateError> {
    let live = desk
        .catalog
        .workflow(&desk.workspace, name)
        .and_then(|known| known.live_definition().or_else(|| known.latest()).cloned());
    let Some(definition) = live else {
        return Err(OperateError::Refused(format!(
            "there is no workflow or stream {name} in workspace {}",
            desk.workspace
        )));
    };
    if definition.is(Kind::Stream) {
        return stream::audit(desk, offsets, name, &definition).await;
    }
    workflow::audit(desk, offsets, name).await
}
