//! The file of the view, and the threads that may wait for it.

use std::sync::Arc;

use prunella_stream::Workbench;

use crate::config::RunViewConfig;
use crate::error::RunViewError;
use crate::store::Store;

/// One writes; while it waits for the disk another one reads.
const THREADS: usize = 2;

#[derive(Clone)]
pub(crate) struct Shelf {
    store: Arc<Store>,
    workbench: Workbench,
}

impl Shelf {
    pub(crate) async fn open(config: &RunViewConfig) -> Result<Self, RunViewError> {
        let unusable = |reason: String| RunViewError::Directory { path: config.directory.clone(), reason };
        let workbench = Workbench::new("run-view", THREADS).map_err(|error| unusable(error.to_string()))?;
        let to_open = config.clone();
        let opened = workbench.try_run(move || Store::open(&to_open)).await;
        let store = opened.unwrap_or_else(|panic| Err(unusable(panic.to_string())))?;
        Ok(Self { store: Arc::new(store), workbench })
    }

    /// Does something with the file.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, RunViewError> + Send + 'static,
    ) -> Result<T, RunViewError> {
        let store = self.store.clone();
        self.workbench.try_run(move || work(&store)).await.unwrap_or_else(|panic| {
            let path = self.store.path().to_owned();
            Err(RunViewError::Storage { path, reason: panic.to_string(), damaged: true })
        })
    }

    pub(crate) fn close(&self) {
        self.store.close();
    }
}
