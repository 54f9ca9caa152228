//! Looking for what is wrong with an installation, and saying what to do about it.

mod clocks;
mod disk;
mod finding;
mod guard;
mod lag;
mod readers;
mod schemas;

use std::time::Duration;

pub use disk::disk;
pub use finding::{Finding, Level};

use crate::desk::Desk;
use crate::error::OperateError;
use crate::offsets::Offsets;
use crate::queues::{Queue, Reading, queues};

/// A queue at two moments.
struct Seen {
    queue: Queue,
    topic: String,
    before: Reading,
    after: Reading,
    /// Of a partition that did not move: whether a record stands where the group is.
    waits: bool,
}

/// Everything that can be seen from the topics; looks twice, `apart` from each other.
///
/// # Errors
/// [`OperateError`] when Kafka does not answer.
pub async fn examine(desk: &Desk, offsets: &Offsets, apart: Duration) -> Result<Vec<Finding>, OperateError> {
    let mut seen = Vec::new();
    for queue in queues(desk) {
        for topic in &queue.topics {
            let before = Reading::take(offsets, &queue.group, topic).await?;
            let (topic, queue) = (topic.clone(), queue.clone());
            seen.push(Seen { queue, topic, before, after: Reading::default(), waits: false });
        }
    }
    tokio::time::sleep(apart).await;
    for one in &mut seen {
        one.after = Reading::take(offsets, &one.queue.group, &one.topic).await?;
        one.waits = lag::waits(desk, one).await?;
    }
    let mut findings = vec![lag::growing(&seen, apart), lag::stuck(&seen, apart)];
    findings.push(readers::readers(offsets, &seen).await?);
    findings.push(clocks::clocks(desk, offsets).await?);
    findings.push(guard::guard(desk, offsets).await?);
    findings.push(schemas::schemas(desk, offsets).await?);
    Ok(findings)
}
