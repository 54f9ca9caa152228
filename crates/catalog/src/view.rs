use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use prunella_model::{WorkflowName, WorkflowRef, WorkspaceName};
use prunella_stream::{KafkaSettings, Tail, TailFrom, Tailed};
use prunella_topology::Topics;
use prunella_wire::Codec;

use crate::definition::Definition;
use crate::error::CatalogError;
use crate::history::{History, WorkflowHistory};

/// The catalog as this process knows it, following `state.workflows`.
pub struct Catalog {
    history: watch::Receiver<History>,
}

impl Catalog {
    /// Reads the catalog to its end, then follows it until `stop` is cancelled.
    ///
    /// # Errors
    /// [`CatalogError`] when the topic cannot be read.
    pub async fn start(
        kafka: &KafkaSettings,
        topics: &Topics,
        codec: Arc<Codec>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, CatalogError> {
        let mut tail = Tail::start(kafka, &topics.state_workflows(), TailFrom::Beginning).await?;
        let (sender, history) = watch::channel(History::default());
        let mut known = History::default();
        while let Some(tailed) = tail.next().await {
            match tailed {
                Tailed::Record(record) => apply(&mut known, &codec, record.value.as_deref()).await,
                Tailed::CaughtUp => break,
            }
        }
        sender.send_replace(known.clone());
        tokio::spawn(async move {
            loop {
                let tailed = tokio::select! {
                    tailed = tail.next() => tailed,
                    () = stop.cancelled() => return,
                };
                match tailed {
                    Some(Tailed::Record(record)) => {
                        apply(&mut known, &codec, record.value.as_deref()).await;
                        sender.send_replace(known.clone());
                    }
                    Some(Tailed::CaughtUp) => {}
                    None => return,
                }
            }
        });
        Ok(Arc::new(Self { history }))
    }

    /// A catalog that stays as it is.
    pub fn fixed(history: History) -> Arc<Self> {
        Arc::new(Self { history: watch::channel(history).1 })
    }

    /// The catalog now.
    pub fn history(&self) -> History {
        self.history.borrow().clone()
    }

    pub fn workflow(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> Option<WorkflowHistory> {
        self.history.borrow().workflow(workspace, workflow).cloned()
    }

    /// The definition that new runs of a workflow use.
    pub fn live(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> Option<Arc<Definition>> {
        self.history.borrow().workflow(workspace, workflow)?.live_definition().cloned()
    }

    pub fn definition(&self, at: &WorkflowRef) -> Option<Arc<Definition>> {
        self.history.borrow().workflow(&at.workspace, &at.workflow)?.versions.get(&at.version).cloned()
    }

    /// A definition that another process has seen already may arrive here a moment later: waits for it.
    pub async fn wait_for(&self, at: &WorkflowRef, patience: Duration) -> Option<Arc<Definition>> {
        if let Some(definition) = self.definition(at) {
            return Some(definition);
        }
        let mut changes = self.changes();
        let arrived = async {
            loop {
                if let Some(definition) = self.definition(at) {
                    return Some(definition);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, arrived).await.ok().flatten()
    }

    /// Tells of every change.
    pub fn changes(&self) -> watch::Receiver<History> {
        self.history.clone()
    }
}

async fn apply(history: &mut History, codec: &Codec, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    if let Err(error) = history.apply(codec, value).await {
        prunella_telemetry::metrics::BAD_STATE.inc();
        tracing::error!(code = error.code().id(), %error, "a record of the catalog was left alone");
    }
}
