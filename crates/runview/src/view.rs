use std::sync::Arc;
use std::time::Duration;

use prunella_model::{RunId, WorkspaceName};
use prunella_stream::KafkaSettings;
use prunella_topology::Topics;
use prunella_wire::Codec;
use prunella_wire::records::RunState;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::RunViewConfig;
use crate::cursor::{EventCursor, RunCursor};
use crate::error::RunViewError;
use crate::feed::Feed;
use crate::filter::RunFilter;
use crate::freshness::{AsOf, Freshness, Health};
use crate::read::{EventPage, RunDetail, RunPage};
use crate::shelf::Shelf;
use crate::store::Store;
use crate::waiters::Waiters;

/// The view of runs of this process.
pub struct RunView {
    shelf: Shelf,
    freshness: Arc<Freshness>,
    waiters: Arc<Waiters>,
    scan_limit: usize,
    feeding: TaskTracker,
}

impl RunView {
    /// Opens the view and feeds it until `stop` is cancelled. Kafka may be away: the view then says that it
    /// has not caught up.
    ///
    /// # Errors
    /// [`RunViewError::Directory`] and [`RunViewError::InUse`] when there is no place for the view.
    pub async fn start(
        config: RunViewConfig,
        kafka: KafkaSettings,
        topics: &Topics,
        codec: Arc<Codec>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, RunViewError> {
        let shelf = Shelf::open(&config).await?;
        let view = Arc::new(Self {
            shelf,
            freshness: Arc::default(),
            waiters: Arc::default(),
            scan_limit: config.scan_limit,
            feeding: TaskTracker::new(),
        });
        let feed = Feed {
            shelf: view.shelf.clone(),
            freshness: view.freshness.clone(),
            waiters: view.waiters.clone(),
            codec,
            kafka,
            state_topic: topics.state_runs(),
            log_topic: topics.log_runs(),
            config,
        };
        view.feeding.spawn(feed.run(stop));
        view.feeding.close();
        Ok(view)
    }

    /// Waits until the view is on the disk and closed, after `stop` was cancelled.
    pub async fn closed(&self) {
        self.feeding.wait().await;
    }

    /// Runs of a workspace, newest first, at most `limit` of them, from `cursor` on (`next` of an earlier page).
    ///
    /// # Errors
    /// [`RunViewError::Cursor`] for a text that is no cursor; otherwise the view cannot be read.
    pub async fn runs(
        &self,
        workspace: &WorkspaceName,
        filter: &RunFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<RunPage, RunViewError> {
        let cursor = cursor.map(RunCursor::parse).transpose()?;
        let (workspace, filter, scan_limit) = (workspace.clone(), filter.clone(), self.scan_limit);
        let page =
            self.shelf.ask(move |store| store.list(&workspace, &filter, cursor.as_ref(), limit, scan_limit)).await?;
        Ok(RunPage { runs: page.entries, next: page.next, as_of: self.freshness.as_of(page.newest) })
    }

    /// A run with its steps; `None` when the view does not hold it or it is of another workspace.
    pub async fn run(&self, workspace: &WorkspaceName, run: &RunId) -> Result<Option<RunDetail>, RunViewError> {
        let (workspace, run) = (workspace.clone(), run.clone());
        let found = self.shelf.ask(move |store| store.detail(&workspace, &run)).await?;
        Ok(found.map(|found| RunDetail {
            run: found.run,
            steps: found.steps,
            as_of: self.freshness.as_of(found.newest),
        }))
    }

    /// Events of a run, oldest first. Whose run it is was checked by [`RunView::run`].
    pub async fn events(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EventPage, RunViewError> {
        let cursor = cursor.map(EventCursor::parse).transpose()?;
        let run = run.clone();
        let page = self.shelf.ask(move |store| store.events(&run, cursor, limit)).await?;
        Ok(EventPage { events: page.entries, next: page.next, as_of: self.freshness.as_of(page.newest) })
    }

    /// Waits until the run has ended, at most until `deadline`; gives its last known state.
    pub async fn wait_for_end(&self, run: &RunId, deadline: Instant) -> Result<Option<RunState>, RunViewError> {
        self.wait_until(run, deadline, |state| state.status.is_terminal()).await
    }

    /// Waits until the view knows the run, at most `patience`.
    pub async fn wait_for_start(&self, run: &RunId, patience: Duration) -> Result<Option<RunState>, RunViewError> {
        self.wait_until(run, Instant::now() + patience, |_| true).await
    }

    pub fn health(&self) -> Health {
        self.freshness.health()
    }

    /// How current an answer would be now.
    pub async fn as_of(&self) -> Result<AsOf, RunViewError> {
        let newest = self.shelf.ask(Store::newest).await?;
        Ok(self.freshness.as_of(newest))
    }

    async fn wait_until(
        &self,
        run: &RunId,
        deadline: Instant,
        is_enough: fn(&RunState) -> bool,
    ) -> Result<Option<RunState>, RunViewError> {
        // Subscribed before the first look, so that no change falls between the two.
        let mut changes = self.waiters.subscribe(run);
        loop {
            let looked_up = run.clone();
            let found = self.shelf.ask(move |store| store.run(&looked_up)).await?;
            if found.as_ref().is_some_and(is_enough) {
                return Ok(found);
            }
            if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                return Ok(found);
            }
        }
    }
}
