//! One follower per stream that the catalog knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use prunella_catalog::{Definition, History};
use prunella_model::{Kind, WorkflowName, WorkspaceName};
use prunella_platform::Platform;
use prunella_stream::StreamError;
use prunella_wire::ValueSchemas;

use crate::follower::Follower;
use crate::work::WorkLimits;

/// What the streams need.
#[derive(Clone)]
pub struct Deps {
    pub platform: Platform,
    pub limits: WorkLimits,
    /// For values in Avro.
    pub schemas: Arc<ValueSchemas>,
}

type Name = (WorkspaceName, WorkflowName);

/// Runs every live stream until `stop` is cancelled. Streams start, change and stop as definitions go live; one that
/// cannot run does not keep others from running.
///
/// # Errors
/// None today: what fails is told by events and tried again.
pub async fn run(deps: Deps, stop: CancellationToken) -> Result<(), StreamError> {
    let mut changes = deps.platform.catalog.changes();
    let mut following: BTreeMap<Name, watch::Sender<Arc<Definition>>> = BTreeMap::new();
    let mut followers = JoinSet::new();
    loop {
        let live = live_streams(&changes.borrow_and_update());
        for (name, definition) in live {
            match following.get(&name) {
                Some(wanted) => {
                    wanted.send_if_modified(|known| {
                        let is_new = known.at != definition.at;
                        *known = definition;
                        is_new
                    });
                }
                None => {
                    let (sender, wanted) = watch::channel(definition);
                    following.insert(name, sender);
                    followers.spawn(Follower::new(deps.clone(), wanted, stop.clone()).run());
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = stop.cancelled() => break,
        }
    }
    followers.join_all().await;
    Ok(())
}

fn live_streams(history: &History) -> Vec<(Name, Arc<Definition>)> {
    let live =
        history.workflows.iter().filter_map(|(name, known)| Some((name.clone(), known.live_definition()?.clone())));
    live.filter(|(_, definition)| definition.is(Kind::Stream)).collect()
}
