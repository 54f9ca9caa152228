//! Changing the catalog. Writers take turns by Kafka's producer fencing: each makes itself the only
//! transactional producer of the catalog, reads to the end, and commits; a second writer in between
//! fences it off, its commit fails, and it starts over from what is there now.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use prunella_model::{Kind, WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_stream::homes::now_millis;
use prunella_stream::{KafkaSettings, OutRecord, restore_partitions};
use prunella_topology::Topics;
use prunella_wire::Codec;
use prunella_wire::records::{AuditEvent, WorkflowLive, WorkflowVersion as VersionRecord};

use crate::error::CatalogError;
use crate::history::{History, WorkflowHistory, live_key, version_key};

/// Turns before a change is given up because of others.
const TRIES: u32 = 5;
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub version: WorkflowVersion,
    /// A new version was made; otherwise this content was a version already.
    pub created: bool,
    /// The version that was live before, if any.
    pub live_before: Option<WorkflowVersion>,
}

/// A definition that is to be live.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion<'a> {
    pub kind: Kind,
    /// Canonical JSON.
    pub text: &'a str,
    /// SHA-256 of the text, lower-case hex.
    pub digest: &'a str,
}

/// Changes the catalog.
pub struct CatalogWriter {
    pub kafka: KafkaSettings,
    pub topics: Topics,
    pub codec: Arc<Codec>,
    /// Who is named in the audit log.
    pub actor: String,
}

impl CatalogWriter {
    /// Fails when the name belongs to another kind: to be asked before anything is made for it.
    pub async fn check_name(
        &self,
        workspace: &WorkspaceName,
        name: &WorkflowName,
        kind: Kind,
    ) -> Result<(), CatalogError> {
        check_kind(self.read().await?.workflow(workspace, name), workspace, name, kind)
    }

    /// Makes `definition` the live version. Content that is live already makes no new version and
    /// changes nothing. A name keeps its kind.
    pub async fn apply(
        &self,
        workspace: &WorkspaceName,
        workflow: &WorkflowName,
        definition: NewVersion<'_>,
    ) -> Result<Applied, CatalogError> {
        self.change(|history, now| {
            let known = history.workflow(workspace, workflow);
            check_kind(known, workspace, workflow, definition.kind)?;
            let live = known.and_then(|known| known.live_definition());
            let live_before = live.map(|live| live.at.version);
            if let Some(live) = live.filter(|live| live.digest == definition.digest) {
                return Ok((Applied { version: live.at.version, created: false, live_before }, Vec::new()));
            }
            let last = known.and_then(|known| known.latest()).map_or(0, |latest| latest.at.version.0);
            let version = WorkflowVersion(last + 1);
            let record = VersionRecord {
                workspace: workspace.clone(),
                workflow: workflow.clone(),
                version,
                digest: definition.digest.to_owned(),
                definition: definition.text.to_owned(),
                applied_at: now,
                applied_by: self.actor.clone(),
                kind: definition.kind.to_string(),
            };
            let topic = self.topics.state_workflows();
            let mut records = vec![OutRecord::new(
                topic.as_str(),
                version_key(workspace, workflow, version),
                self.codec.encode(&topic, &record)?,
            )];
            records.extend(self.point_to(workspace, workflow, version, now, "workflow-applied")?);
            Ok((Applied { version, created: true, live_before }, records))
        })
        .await
    }

    /// Makes an earlier version live again, for new runs.
    pub async fn rollback(
        &self,
        workspace: &WorkspaceName,
        workflow: &WorkflowName,
        version: WorkflowVersion,
    ) -> Result<Applied, CatalogError> {
        self.change(|history, now| {
            let known = history.workflow(workspace, workflow).ok_or_else(|| CatalogError::UnknownWorkflow {
                workspace: workspace.to_string(),
                workflow: workflow.clone(),
            })?;
            if !known.versions.contains_key(&version) {
                let listed: Vec<String> = known.versions.keys().map(ToString::to_string).collect();
                return Err(CatalogError::UnknownVersion {
                    workflow: workflow.clone(),
                    version,
                    known: listed.join(", "),
                });
            }
            let live_before = known.live.as_ref().map(|live| live.version);
            let applied = Applied { version, created: false, live_before };
            if live_before == Some(version) {
                return Ok((applied, Vec::new()));
            }
            Ok((applied, self.point_to(workspace, workflow, version, now, "workflow-rolled-back")?))
        })
        .await
    }

    fn point_to(
        &self,
        workspace: &WorkspaceName,
        workflow: &WorkflowName,
        version: WorkflowVersion,
        now: i64,
        action: &str,
    ) -> Result<Vec<OutRecord>, CatalogError> {
        let live = WorkflowLive {
            workspace: workspace.clone(),
            workflow: workflow.clone(),
            version,
            changed_at: now,
            changed_by: self.actor.clone(),
        };
        let audit = AuditEvent {
            at: now,
            actor: self.actor.clone(),
            action: action.to_owned(),
            workspace: workspace.clone(),
            subject: format!("{workflow}@{version}"),
            detail: String::new(),
        };
        let (state, log) = (self.topics.state_workflows(), self.topics.log_audit());
        Ok(vec![
            OutRecord::new(state.as_str(), live_key(workspace, workflow), self.codec.encode(&state, &live)?),
            OutRecord::new(log.as_str(), self.actor.clone(), self.codec.encode(&log, &audit)?),
        ])
    }

    async fn change(
        &self,
        decide: impl Fn(&History, i64) -> Result<(Applied, Vec<OutRecord>), CatalogError>,
    ) -> Result<Applied, CatalogError> {
        for _ in 0..TRIES {
            let producer = self.become_only_writer().await?;
            let history = self.read().await?;
            let (applied, records) = decide(&history, now_millis())?;
            if records.is_empty() || commit(producer, records).await? {
                return Ok(applied);
            }
        }
        Err(CatalogError::Contended { tries: TRIES })
    }

    async fn become_only_writer(&self) -> Result<BaseProducer, CatalogError> {
        let mut config = self.kafka.producer_config()?;
        config
            .set("transactional.id", format!("{}catalog", self.topics.prefix()))
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
            .set("message.timeout.ms", "10000");
        blocking(move || {
            let producer: BaseProducer = config.create()?;
            producer.init_transactions(TRANSACTION_TIMEOUT)?;
            Ok(producer)
        })
        .await
        .map_err(not_written)
    }

    async fn read(&self) -> Result<History, CatalogError> {
        let mut history = History::default();
        let mut records = restore_partitions(&self.kafka, &self.topics.state_workflows(), &[0])?;
        while let Some(chunk) = records.recv().await {
            for record in chunk? {
                if let Some(value) = record.value {
                    history.apply(&self.codec, &value).await?;
                }
            }
        }
        Ok(history)
    }
}

fn check_kind(
    known: Option<&WorkflowHistory>,
    workspace: &WorkspaceName,
    name: &WorkflowName,
    wanted: Kind,
) -> Result<(), CatalogError> {
    match known.and_then(WorkflowHistory::latest).filter(|latest| !latest.is(wanted)) {
        None => Ok(()),
        Some(latest) => Err(CatalogError::OtherKind {
            workspace: workspace.to_string(),
            name: name.clone(),
            known: latest.kind.as_ref().map_or_else(Clone::clone, Kind::to_string),
            wanted,
        }),
    }
}

/// Commits in one transaction; false when another writer has taken the turn.
async fn commit(producer: BaseProducer, records: Vec<OutRecord>) -> Result<bool, CatalogError> {
    let committed = blocking(move || {
        producer.begin_transaction()?;
        for record in &records {
            let key = record.key.clone().unwrap_or_default();
            let value = record.value.clone().unwrap_or_default();
            let base = BaseRecord::to(&record.topic).key(key.as_ref()).payload(value.as_ref());
            producer.send::<[u8], [u8]>(base).map_err(|(error, _)| error)?;
        }
        producer.commit_transaction(TRANSACTION_TIMEOUT)
    })
    .await;
    match committed {
        Ok(()) => Ok(true),
        Err(error) if is_fenced(&error) => Ok(false),
        Err(error) => Err(not_written(error)),
    }
}

fn is_fenced(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    match error {
        KafkaError::Transaction(inner) => {
            matches!(inner.code(), Fenced | InvalidProducerEpoch | ProducerFenced) || inner.is_fatal()
        }
        other => matches!(other.rdkafka_error_code(), Some(Fenced | InvalidProducerEpoch | ProducerFenced)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(KafkaError::Canceled))
}

fn not_written(error: KafkaError) -> CatalogError {
    CatalogError::NotWritten { reason: error.to_string() }
}
