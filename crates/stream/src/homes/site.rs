use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::member::MemberHandle;
use crate::offsets::AssignmentEpoch;
use crate::outlet::Outlet;
use crate::output::OutputError;
use crate::record::{OutRecord, TopicPartition};
use crate::sharded::produce_failed;
use crate::transactor::Owner;

/// Where a home is, and the way its background work writes.
#[derive(Clone)]
pub struct HomeSite {
    pub partition: i32,
    /// Cancelled when the partition is revoked: background work stops at once.
    pub revoked: CancellationToken,
    pub(super) tasks: TaskTracker,
    /// Work is started from delivery reports too, which run outside the runtime.
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) home: TopicPartition,
    pub(super) epoch: AssignmentEpoch,
    pub(super) outlet: Outlet,
    pub(super) handle: MemberHandle,
}

/// Why background work of a home must stop.
#[derive(Debug)]
pub enum EmitError {
    /// The partition has a new owner.
    Revoked,
    /// Kafka did not take the records; the stage is being rebuilt.
    Output(OutputError),
}

impl HomeSite {
    /// Runs background work that the revocation of the home waits for.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Writes `effects` and `changelog`, so that the changelog never speaks of effects that are not
    /// there: at once when the stage is exactly-once, else one after the other.
    ///
    /// # Errors
    /// [`EmitError`], as [`HomeSite::emit`].
    pub async fn commit(&self, mut effects: Vec<OutRecord>, changelog: Vec<OutRecord>) -> Result<(), EmitError> {
        match self.outlet {
            Outlet::ExactlyOnce(_) => {
                effects.extend(changelog);
                self.emit(effects).await
            }
            Outlet::AtLeastOnce(_) => {
                if !effects.is_empty() {
                    self.emit(effects).await?;
                }
                self.emit(changelog).await
            }
        }
    }

    /// Writes records on behalf of this home and waits until they are durable.
    ///
    /// # Errors
    /// [`EmitError`]: the work must end. A failed write also rebuilds the stage.
    pub async fn emit(&self, records: Vec<OutRecord>) -> Result<(), EmitError> {
        if self.revoked.is_cancelled() {
            return Err(EmitError::Revoked);
        }
        let count = records.len();
        match self.outlet.deliver(|| self.owner(), records).await {
            Ok(()) => Ok(()),
            Err(OutputError::GivenUp) => Err(EmitError::Revoked),
            Err(error @ OutputError::TooLarge { .. }) => Err(EmitError::Output(error)),
            Err(error) => {
                self.handle.fail(produce_failed(self.handle.stage(), count, &error));
                Err(EmitError::Output(error))
            }
        }
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::Home { partition: self.home.clone(), epoch: self.epoch }
    }
}
