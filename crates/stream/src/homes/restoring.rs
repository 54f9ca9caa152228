use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::TryFutureExt;
use tokio::sync::mpsc::Receiver;

use prunella_model::Code;
use prunella_telemetry::emit;

use super::Home;
use crate::error::StreamError;
use crate::events::UnreadableState;
use crate::offsets::AssignmentEpoch;
use crate::restore::StateRecord;
use crate::stage::{StageError, without_panic};

/// Homes whose state was read, or why it could not be.
pub(super) struct RestoredHomes<T> {
    pub(super) result: Result<Vec<(i32, AssignmentEpoch, T, u64)>, StreamError>,
    pub(super) took: Duration,
}

fn unreadable(reason: String) -> StageError {
    StageError::new(Code::StateUnreadable, reason)
}

/// The records of one changelog, as they are read.
type Changelog = Receiver<Result<Vec<StateRecord>, StreamError>>;

pub(super) async fn apply_all<T: Home>(
    mut homes: HashMap<i32, (AssignmentEpoch, T, u64)>,
    changelogs: Vec<(Arc<str>, Changelog)>,
    stage: &str,
) -> Result<Vec<(i32, AssignmentEpoch, T, u64)>, StreamError> {
    for (number, (topic, mut records)) in changelogs.into_iter().enumerate() {
        while let Some(chunk) = records.recv().await {
            for record in chunk? {
                let Some((_, home, count)) = homes.get_mut(&record.partition) else { continue };
                *count += 1;
                let applied = without_panic(home.apply(number, &record.key, record.value).map_err(unreadable));
                if let Err(StageError { message: reason, .. }) = applied.await {
                    let place = format!("{topic}[{}]@{}", record.partition, record.offset);
                    let error = StreamError::Restore { place: place.clone(), reason };
                    emit(UnreadableState { stage, place, error: &error });
                }
            }
        }
    }
    Ok(homes.into_iter().map(|(partition, (epoch, home, count))| (partition, epoch, home, count)).collect())
}
