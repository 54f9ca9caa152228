use tokio::sync::oneshot;

use crate::chaos::{Sabotage, sabotaged};
use crate::output::{Output, OutputError};
use crate::record::OutRecord;
use crate::transactor::{Owner, Submission, TransactorHandle};

/// How the outcomes of a member become durable. Order is the order of the calls, per partition and
/// over all.
#[derive(Clone)]
pub(crate) enum Outlet {
    /// As they come; offsets follow.
    AtLeastOnce(Output),
    /// With their offsets, in transactions.
    ExactlyOnce(TransactorHandle),
}

impl Outlet {
    /// Hands `records` over and calls `done` once they are durable, or cannot be written.
    pub(crate) async fn submit(
        &self,
        owner: impl FnOnce() -> Owner,
        mut records: Vec<OutRecord>,
        done: impl FnOnce(Result<(), OutputError>) + Send + 'static,
    ) {
        if sabotaged(Sabotage::LoseProduce) {
            records.retain(|record| !record.topic.contains("output.") || record.size() % 8 != 0);
        }
        if sabotaged(Sabotage::LoseDeadLetters) {
            records.retain(|record| !record.topic.contains("deadletter."));
        }
        match self {
            Self::AtLeastOnce(output) => output.send(records, done).await,
            Self::ExactlyOnce(transactor) => {
                transactor.submit(Submission { owner: owner(), records, done: Box::new(done) });
            }
        }
    }

    /// Writes `records` and waits until they are durable.
    pub(crate) async fn deliver(
        &self,
        owner: impl FnOnce() -> Owner,
        records: Vec<OutRecord>,
    ) -> Result<(), OutputError> {
        let (confirm, confirmed) = oneshot::channel();
        // The receiver is gone only when the caller gave up waiting.
        self.submit(owner, records, move |result| drop(confirm.send(result))).await;
        confirmed.await.unwrap_or(Err(OutputError::GivenUp))
    }
}
